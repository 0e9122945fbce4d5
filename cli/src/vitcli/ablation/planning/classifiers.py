"""Which classifiers the arms of an ablation start from: one for each backbone, which arms, seeds and files share."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from vitcli.ablation.planning.draft import Draft
from vitcli.ablation.planning.identity import code_of, identity
from vitcli.ablation.planning.plan import Plan, PlannedArm
from vitcli.ablation.planning.spec import AblationSpec, Seeds
from vitcli.config.errors import ConfigError
from vitcli.config.pretraining import FILE, PRETRAINING, classifier_of
from vitmodels import MisfitError
from vitmodels.skeletons.parts import build_part

FOLDER = "pretrained"
"""The folder beside the ablations' own that holds the classifiers, ``FOLDER/NAME/seedN``."""


def plan_classifiers(draft: Draft, cost: Callable[[dict[str, Any], str], dict[str, int]], gpus: int) -> Plan | None:
    """Plan the classifiers that the chosen arms start from; None if none of them has a ``pretraining``.

    A classifier's name is that of its backbone and its identity, so that whatever asks for the same one finds it.

    Args:
        draft: The ablation, its arms resolved.
        cost: Returns parameters and multiply-adds of a configuration after checking it, for (configuration, place).
        gpus: GPUs of this machine that trials may use.

    Raises:
        ConfigError: A classifier cannot be built, does not fit the backbone that starts from it, or has the ablation's folder.
    """
    arms: dict[str, PlannedArm] = {}
    seeds = 1
    for arm, config in draft.configs.items():
        if arm not in draft.spec.chosen or not config.get(PRETRAINING):
            continue
        if config[PRETRAINING]["seeds"] == "each":
            seeds = max(seeds, len(draft.spec.seeds_of(arm)))
        place = f"{draft.places[arm]}, its pretraining"
        classifier = classifier_of(config)
        _refuse_misfit(config, classifier, place)
        name, id_ = classifier_name(config), identity(classifier)
        if name not in arms:
            size = cost(classifier, place)
            arms[name] = PlannedArm(
                classifier, id_, {}, size["parameters"], size["macs"], place=place, code=code_of(classifier)
            )
    if not arms:
        return None
    directory = Path(next(iter(draft.configs.values()))["runs"]) / FOLDER
    if draft.directory == directory:
        raise ConfigError(f"{draft.file}: its results would lie among the classifiers in {directory}; rename the file.")
    spec = AblationSpec(
        baseline=next(iter(arms)),
        arms={name: {} for name in arms},
        seeds=Seeds(seeds, seeds),
        workers=draft.spec.workers,
        retry=draft.spec.retry,
        launcher=draft.spec.launcher,
    )
    return Plan(FOLDER, directory, "", spec, arms, gpus)


def classifier_name(config: Mapping[str, Any]) -> str:
    """Return the name of the classifier that a complete configuration starts from; empty without a ``pretraining``."""
    if not config.get(PRETRAINING):
        return ""
    classifier = classifier_of(config)
    backbone: str = _backbone(classifier)["class_path"]
    return f"{backbone.rpartition('.')[2]}-{identity(classifier)}"


def _backbone(config: Mapping[str, Any]) -> dict[str, Any]:
    backbone: dict[str, Any] = config["model"]["init_args"]["backbone"]
    return backbone


def _refuse_misfit(config: Mapping[str, Any], classifier: Mapping[str, Any], place: str) -> None:
    """Refuse a classifier whose weights do not fit the backbone; both are built without memory for weights."""
    theirs, ours = _backbone(classifier), _backbone(config)
    with torch.device("meta"), torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
        try:
            state = build_part(theirs)().state_dict()
            build_part({**ours, "init_args": {**ours["init_args"], FILE: state}})()
        except MisfitError as error:
            raise ConfigError(
                f"{place}: the classifier on {theirs['class_path']} does not fit the backbone {ours['class_path']}:",
                error.lines,
            ) from error
        except ValueError as error:
            raise ConfigError(f"{place}: {error}") from error

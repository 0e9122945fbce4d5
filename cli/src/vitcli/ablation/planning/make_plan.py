"""Making the plan of an ablation: every arm's complete configuration, difference from the baseline, cost and identity."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vitcli.ablation.planning.budget import budget_epochs, measured_seconds, refuse_other_speed, refuse_unmeasured
from vitcli.ablation.planning.checks.metric import refuse_metric, refuse_unscored
from vitcli.ablation.planning.checks.trainer import refuse_debug_run
from vitcli.ablation.planning.classifiers import classifier_name, plan_classifiers
from vitcli.ablation.planning.difference import difference, gather_stages, refuse_undeclared
from vitcli.ablation.planning.draft import Draft, resolve_arms
from vitcli.ablation.planning.identity import code_of, identity
from vitcli.ablation.planning.plan import Plan, PlannedArm
from vitcli.config.command_line import Arguments
from vitcli.config.errors import ConfigError
from vitcli.config.pretraining import PRETRAINING
from vitcli.measure.cost import CostCounter, build_anywhere
from vitcli.records.speed import SPEED

HERE = {"accelerator": "cpu", "devices": 1, "strategy": "auto", "num_nodes": 1, "precision": None, "plugins": None}
"""Settings of the trainer with which any configuration can be built on this machine, to be examined."""

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
"""Accelerators that other machines may have."""


def make_plan(arguments: Arguments, seconds: Mapping[str, float] | None = None) -> Plan:
    """Complete every arm's configuration, count its cost, and check it.

    Args:
        arguments: Files and overrides.
        seconds: Arm -> seconds per training image, for a budget of equal training time. If left out, they are read from the
            speed.json that ``vitcli speed`` wrote.

    Raises:
        ConfigError: Something in the files, an arm or on the command line is wrong.
    """
    draft = resolve_arms(arguments)
    spec, configs = draft.spec, draft.configs
    counter = CostCounter()
    costs = {}

    def cost(config: dict[str, Any], place: str) -> dict[str, int]:
        refuse_debug_run(config["trainer"], place)
        refuse_unscored(config, place)
        return _cost(counter, config, spec.launcher_name, place)

    for arm, config in configs.items():
        changed = difference(configs[spec.baseline], config)
        refuse_undeclared(changed, (spec.arms[spec.baseline], spec.arms[arm]), draft.places[arm])
        costs[arm] = cost(config, draft.places[arm])
    refuse_metric(spec.metric.name, on_this_machine(configs[spec.baseline], "any"), draft.metric_place)
    configs, measured = _with_budget(draft, {arm: cost["macs"] for arm, cost in costs.items()}, seconds)
    arms = {}
    steps = _steps(configs) if (draft.directory / SPEED).is_file() else {}
    for arm, config in configs.items():
        changed = gather_stages(difference(configs[spec.baseline], config), config)
        if PRETRAINING in changed:  # all of it, or none
            changed[PRETRAINING] = [classifier_name(one) or None for one in (configs[spec.baseline], config)]
        arms[arm] = PlannedArm(
            config,
            identity(config),
            changed,
            costs[arm]["parameters"],
            costs[arm]["macs"],
            steps=steps.get(arm),
            place=draft.places[arm],
            code=code_of(config),
            classifier=classifier_name(config),
        )
    for arm, identity_then in measured.items():
        if arm in arms:
            refuse_other_speed(arm, identity_then, arms[arm].id, draft.directory / SPEED, draft.file)
    wants = configs[spec.baseline]["trainer"]["accelerator"]
    gpus = torch.cuda.device_count() if wants in ("auto", "gpu", "cuda") else 0
    question = spec.question or question_in(draft.file)
    classifiers = plan_classifiers(draft, cost, gpus)
    return Plan(draft.name, draft.directory, question, spec, arms, gpus, classifiers)


def _with_budget(
    draft: Draft, macs: Mapping[str, float], seconds: Mapping[str, float] | None
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the arms' configurations with the epochs of the budget, and the identities of the arms that were measured."""
    equal, configs, measured = draft.spec.budget, draft.configs, dict[str, str]()
    if equal == "epochs":
        return configs, measured
    cost = macs
    if equal == "training_time":
        if seconds is None:
            seconds, measured = measured_seconds(draft.directory, draft.file)
            refuse_unmeasured(seconds, configs, draft.directory / SPEED, draft.file)
        cost = seconds
    epochs = budget_epochs(equal, configs, draft.spec.baseline, cost, draft.budget_place)
    return {arm: _with_epochs(config, epochs[arm]) for arm, config in configs.items()}, measured


def timed_ids(
    configs: Mapping[str, dict[str, Any]], baseline: str, seconds: Mapping[str, float], place: str
) -> dict[str, str]:
    """Return the identities of the arms under a budget of equal training time.

    Args:
        configs: Arm -> complete configuration under equal epochs.
        baseline: The arm whose epochs the file gives.
        seconds: Arm -> seconds per training image.
        place: Where the budget is set, for messages.

    Raises:
        ConfigError: The length of the training is not given in epochs.
    """
    epochs = budget_epochs("training_time", configs, baseline, seconds, place)
    return {arm: identity(_with_epochs(config, epochs[arm])) for arm, config in configs.items()}


def _with_epochs(config: dict[str, Any], epochs: int) -> dict[str, Any]:
    return {**config, "trainer": {**config["trainer"], "max_epochs": epochs}}


def _cost(counter: CostCounter, config: dict[str, Any], launcher: str, place: str) -> dict[str, int]:
    try:
        return counter.checked(on_this_machine(config, launcher), place)
    except ConfigError as error:
        if launcher != "local" or config["trainer"]["accelerator"] not in ACCELERATORS:
            raise
        counter.checked(on_this_machine(config, "any"), place)  # raises if something else is wrong
        raise ConfigError(
            f"{str(error).rstrip('.')}: trainer.accelerator is {config['trainer']['accelerator']!r} and trainer.devices "
            f"{config['trainer']['devices']!r}, which this machine does not have; change them, or plan for other machines "
            "with --launcher slurm."
        ) from error


def on_this_machine(config: dict[str, Any], launcher: str) -> dict[str, Any]:
    """Return the configuration with a trainer that can be built here, if its trials run on other machines."""
    if launcher == "local":
        return config
    return {**config, "trainer": {**config["trainer"], **HERE}}


def _steps(configs: Mapping[str, dict[str, Any]]) -> dict[str, int | None]:
    """Return the steps per epoch of each arm; arms with the same data share one answer."""
    known: dict[str, int | None] = {}
    found = {}
    for arm, config in configs.items():
        key = json.dumps([config["data"], config["trainer"]["limit_train_batches"]], sort_keys=True)
        if key not in known:
            known[key] = _epoch_steps(on_this_machine(config, "any"))
        found[arm] = known[key]
    return found


def _epoch_steps(config: dict[str, Any]) -> int | None:
    """Return the number of training steps in an epoch; None if the data module cannot tell before a training.

    Nothing is downloaded, so there is no answer as long as the data are missing.
    """
    _, data = build_anywhere(config)
    try:
        data.setup("fit")
        batches = len(data.train_dataloader())
    except Exception:  # the data module's own code, which may raise anything; a failed estimate does not refuse a plan
        return None
    limit = config["trainer"]["limit_train_batches"]
    if limit is None:
        return batches
    return min(batches, limit) if isinstance(limit, int) else math.floor(batches * limit)


def question_in(path: str) -> str:
    """Return the question in the header of an ablation file: the text from ``# Question`` to the next heading."""
    words: list[str] = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line[1:]
        if text.startswith(" Question"):
            words.append(text.removeprefix(" Question").strip())
        elif words and text.startswith("  "):
            words.append(text.strip())
        elif words:
            break
    return " ".join(words)

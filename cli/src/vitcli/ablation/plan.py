"""The plan of an ablation: every arm resolved, its difference from the baseline, its cost and its identity."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vitcli.ablation.budget import SPEED, budgeted, measured_seconds, refuse_other_speed, refuse_unmeasured
from vitcli.ablation.check_metric import refuse_metric, refuse_unscored
from vitcli.ablation.difference import difference, gather_stages, refuse_undeclared
from vitcli.ablation.draft import Draft, base_config, resolve_arms
from vitcli.ablation.epoch_steps import epoch_steps
from vitcli.ablation.identity import identity
from vitcli.ablation.planned import Plan, PlannedArm
from vitcli.config.command_line import Arguments
from vitcli.config.errors import ConfigError
from vitcli.measure.cost import CostCounter

__all__ = ["base_config", "make_plan"]

HERE = {"accelerator": "cpu", "devices": 1, "strategy": "auto", "num_nodes": 1, "precision": None, "plugins": None}
"""The trainer's entries for a trial that is only looked at on this machine."""

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
"""What there may be on other machines."""


def make_plan(arguments: Arguments, seconds: Mapping[str, float] | None = None) -> Plan:
    """Resolve and cost every arm.

    Args:
        arguments: Files and overrides.
        seconds: For each arm, seconds per training image, where the budget is training time; as ``vitcli speed`` measured and
            kept them if left out.

    Raises:
        ConfigError: Something in the files, an arm or on the command line is wrong.
    """
    draft = resolve_arms(arguments)
    spec, configs = draft.spec, draft.configs
    counter = CostCounter()
    costs = {}
    for arm, config in configs.items():
        refuse_unscored(config, draft.places[arm])
        changed = difference(configs[spec.baseline], config)
        refuse_undeclared(changed, (spec.arms[spec.baseline], spec.arms[arm]), draft.places[arm])
        costs[arm] = _cost(counter, config, spec.launcher["name"], draft.places[arm])
    refuse_metric(spec.metric.name, _on_this_machine(configs[spec.baseline], "any"), draft.metric_place)
    configs, measured = _budgeted(draft, {arm: cost["macs"] for arm, cost in costs.items()}, seconds)
    arms = {}
    steps = _steps(configs) if (draft.directory / SPEED).is_file() else {}
    for arm, config in configs.items():
        changed = gather_stages(difference(configs[spec.baseline], config), config)
        arms[arm] = PlannedArm(config, identity(config), changed, **costs[arm], steps=steps.get(arm))
    for arm, identity_then in measured.items():
        if arm in arms:
            refuse_other_speed(arm, identity_then, arms[arm].id, draft.directory / SPEED, draft.file)
    wants = configs[spec.baseline]["trainer"]["accelerator"]
    gpus = torch.cuda.device_count() if wants in ("auto", "gpu", "cuda") else 0
    question = spec.question or first_comment(draft.file)
    return Plan(draft.name, draft.directory, question, spec, arms, gpus)


def _budgeted(
    draft: Draft, macs: Mapping[str, float], seconds: Mapping[str, float] | None
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the arms' configurations with the epochs of the budget, and what must have been measured for them."""
    equal, configs, measured = draft.spec.budget, draft.configs, dict[str, str]()
    if equal == "epochs":
        return configs, measured
    cost = macs
    if equal == "training_time":
        if seconds is None:
            seconds, measured = measured_seconds(draft.directory, draft.file)
            refuse_unmeasured(seconds, configs, draft.directory / SPEED, draft.file)
        cost = seconds
    epochs = budgeted(equal, configs, draft.spec.baseline, cost, draft.budget_place)
    return {arm: _training(config, epochs[arm]) for arm, config in configs.items()}, measured


def timed_ids(
    configs: Mapping[str, dict[str, Any]], baseline: str, seconds: Mapping[str, float], place: str
) -> dict[str, str]:
    """Return the identities that arms have under a budget of equal training time, from what was measured.

    Args:
        configs: Arm -> resolved configuration under equal epochs.
        baseline: The arm whose epochs are given.
        seconds: Arm -> seconds per training image.
        place: Where the budget is set, for messages.

    Raises:
        ConfigError: The training is not counted in epochs.
    """
    epochs = budgeted("training_time", configs, baseline, seconds, place)
    return {arm: identity(_training(config, epochs[arm])) for arm, config in configs.items()}


def _training(config: dict[str, Any], epochs: int) -> dict[str, Any]:
    return {**config, "trainer": {**config["trainer"], "max_epochs": epochs}}


def _cost(counter: CostCounter, config: dict[str, Any], launcher: str, place: str) -> dict[str, int]:
    try:
        return counter.checked(_on_this_machine(config, launcher), place)
    except ConfigError as error:
        if launcher != "local" or config["trainer"]["accelerator"] not in ACCELERATORS:
            raise
        counter.checked(_on_this_machine(config, "any"), place)  # nothing else is wrong with it
        raise ConfigError(
            f"{str(error).rstrip('.')}: trainer.accelerator is {config['trainer']['accelerator']!r} and trainer.devices "
            f"{config['trainer']['devices']!r}, which this machine has not; set them, or plan for others by --launcher slurm."
        ) from error


def _on_this_machine(config: dict[str, Any], launcher: str) -> dict[str, Any]:
    """Return a configuration whose trainer can be made here, where its trials run on other machines."""
    if launcher == "local":
        return config
    return {**config, "trainer": {**config["trainer"], **HERE}}


def _steps(configs: Mapping[str, dict[str, Any]]) -> dict[str, int | None]:
    """Return each arm's steps an epoch; what sees the same data is asked once."""
    known: dict[str, int | None] = {}
    found = {}
    for arm, config in configs.items():
        key = json.dumps([config["data"], config["trainer"]["limit_train_batches"]], sort_keys=True)
        if key not in known:
            known[key] = epoch_steps(_on_this_machine(config, "any"))
        found[arm] = known[key]
    return found


def first_comment(path: str) -> str:
    """Return the question in the header of an ablation file: what follows ``# Question`` up to the next heading."""
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

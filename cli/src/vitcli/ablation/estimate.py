"""How long an ablation's trials take and how much memory, from the trials that are done and from measured speeds."""

from collections.abc import Mapping
from typing import Any

from vitcli.ablation.budget import trained_epochs
from vitcli.ablation.planned import Plan, PlannedArm
from vitcli.records.speed import measured_arms
from vitcli.records.trial import read_result


def measured_speeds(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return what ``vitcli speed`` measured of each arm; what it measured of another configuration is left out."""
    found = measured_arms(plan.directory) or {}
    return {name: found[name] for name, arm in plan.arms.items() if name in found and found[name].get("id") == arm.id}


def trial_seconds(plan: Plan, name: str, done: list[int], speed: Mapping[str, Any] | None) -> float | None:
    """Return the seconds that one trial of an arm trains: as those that are done did, else by its measured speed."""
    took = [
        seconds
        for seed in done
        if (seconds := (read_result(plan.trial_directory(name, seed)) or {}).get("train_seconds"))
    ]
    if took:
        return float(sum(took)) / len(took)
    return _by_speed(plan.arms[name], speed) if speed else None


def _by_speed(arm: PlannedArm, speed: Mapping[str, Any]) -> float | None:
    epochs, step = trained_epochs(arm.config), speed.get("step_seconds")
    return epochs * arm.steps * step if epochs and arm.steps and step else None

"""The plan with what is known about its trials, as data: finished trials, time and memory of the rest."""

from collections.abc import Mapping
from typing import Any

from vitcli.ablation.planning.allocation import seed_notes
from vitcli.ablation.planning.budget import trained_epochs
from vitcli.ablation.planning.plan import Plan, PlannedArm
from vitcli.ablation.race import Race, race_so_far
from vitcli.ablation.state import is_done, is_failed
from vitcli.records.speed import measured_arms
from vitcli.records.trial import read_result


def plan_summary(plan: Plan, file: str) -> dict[str, Any]:
    """Return the plan as data that JSON can hold; times and memory are None where nothing is known about them.

    Args:
        plan: The plan.
        file: The ablation's file.
    """
    speeds = measured_speeds(plan)
    race = race_so_far(plan)
    arms = [_arm(plan, race, name, speeds.get(name, {})) for name in plan.spec.chosen]
    to_run = sum(arm["to_run"] for arm in arms)
    return {
        "name": plan.name,
        "question": plan.question,
        "file": file,
        "directory": str(plan.directory),
        "baseline": plan.spec.baseline,
        "metric": {"name": plan.spec.metric.name, "direction": plan.spec.metric.direction},
        "budget": plan.budget,
        "launcher": plan.spec.launcher_name,
        "seeds": plan.spec.seeds.arms,
        "baseline_seeds": plan.spec.seeds.baseline,
        "looks": plan.spec.looks,
        "seed_notes": seed_notes(plan.spec),
        "trials": plan.spec.trials,
        "to_run": to_run,
        "workers": plan.parallel_trials(to_run),
        "arms": arms,
        "classifiers": _classifiers(plan),
        "seconds_left": _seconds_left(arms),
    }


def _arm(plan: Plan, race: Race, name: str, speed: Mapping[str, Any]) -> dict[str, Any]:
    arm, seeds = plan.arms[name], plan.seeds_of(name)
    done = [seed for seed in seeds if is_done(plan, name, seed)]
    failed = [seed for seed in seeds if seed not in done and is_failed(plan, name, seed)]
    unfinished = [seed for seed in seeds if seed not in (*done, *failed) and _has_files(plan, name, seed)]
    retried = "failed" in plan.spec.retry
    return {
        "name": name,
        "parameters": arm.parameters,
        "macs": arm.macs,
        "epochs": plan.budget["epochs"].get(name),
        "difference": arm.difference,
        "levels": plan.levels.get(name, {}),
        "trials": len(seeds),
        "done": done,
        "failed": failed,
        "unfinished": unfinished,
        "stopped": race.stopped.get(name),
        "to_run": 0 if name in race.stopped else len(seeds) - len(done) - (0 if retried else len(failed)),
        "seconds": _trial_seconds(plan, name, done, speed),
        "peak_memory_bytes": speed.get("peak_memory_bytes"),
        "id": arm.id,
        "classifier": arm.classifier or None,
    }


def _classifiers(plan: Plan) -> list[dict[str, Any]]:
    """Return the classifiers that the chosen arms start from, with the seeds that are trained."""
    if plan.classifiers is None:
        return []
    starts = [plan.start_of(arm, seed) for arm in plan.spec.chosen for seed in plan.seeds_of(arm)]
    needed = dict.fromkeys(start for start in starts if start is not None)
    return [
        {
            "name": name,
            "directory": str(plan.classifiers.directory / name),
            "parameters": arm.parameters,
            "epochs": plan.classifiers.budget["epochs"].get(name),
            "trained": [seed for one, seed in needed if one == name and is_done(plan.classifiers, name, seed)],
            "needed": sorted(seed for one, seed in needed if one == name),
            "id": arm.id,
        }
        for name, arm in plan.classifiers.arms.items()
    ]


def measured_speeds(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return arm -> what ``vitcli speed`` measured, without arms whose configuration has changed since."""
    found = measured_arms(plan.directory) or {}
    return {name: found[name] for name, arm in plan.arms.items() if name in found and found[name].get("id") == arm.id}


def _trial_seconds(plan: Plan, name: str, done: list[int], speed: Mapping[str, Any]) -> float | None:
    """Return the training time of one trial: the mean of the trials that are done, else an estimate from the speed."""
    results = (read_result(plan.trial_directory(name, seed)) or {} for seed in done)
    times = [result["train_seconds"] for result in results if result.get("train_seconds")]
    if times:
        return float(sum(times)) / len(times)
    return _seconds_by_speed(plan.arms[name], speed)


def _seconds_by_speed(arm: PlannedArm, speed: Mapping[str, Any]) -> float | None:
    epochs, step = trained_epochs(arm.config), speed.get("step_seconds")
    return epochs * arm.steps * step if epochs and arm.steps and step else None


def _seconds_left(arms: list[dict[str, Any]]) -> float | None:
    """Return the time of all trials that are left, run one after the other; None if it is not known for any arm.

    An arm whose time is not known counts as the mean of the others.
    """
    known = [arm["seconds"] for arm in arms if arm["seconds"] is not None]
    if not known:
        return None
    mean = sum(known) / len(known)
    return float(sum(arm["to_run"] * (mean if arm["seconds"] is None else arm["seconds"]) for arm in arms))


def _has_files(plan: Plan, arm: str, seed: int) -> bool:
    directory = plan.trial_directory(arm, seed)
    return directory.is_dir() and any(directory.iterdir())

"""``vitcli plan``: what an ablation would run, without training: arms, differences, costs, trials, what is done."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from vitcli.ablation.estimate import measured_speeds, trial_seconds
from vitcli.ablation.planned import Plan
from vitcli.ablation.state import is_done, is_failed
from vitcli.ablation.worker import plan_in_worker, start_server
from vitcli.config.command_line import Arguments
from vitcli.report.names import short_keys, short_values

FORMS = ("table", "json")
EQUAL = {"epochs": "epochs", "training_time": "training time", "macs": "multiply-adds"}


def show_plan(arguments: Arguments, form: str) -> int:
    """Plan and print; nothing is written."""
    start_server()
    found = summary(plan_in_worker(arguments), " --config ".join(arguments.files))
    if form == "json":
        print(json.dumps(found, indent=2))
        return 0
    console = Console()
    console.print(f"{found['name']}: {found['question']}", highlight=False)
    console.print(arms_table(found))
    for line in (*differences(found), *totals(found)):
        console.print(line, highlight=False, soft_wrap=True)
    return 0


def summary(plan: Plan, file: str) -> dict[str, Any]:
    """Return the plan as data, with what is done, and what the rest takes as far as that is known.

    Args:
        plan: The plan.
        file: The ablation file, to be named where nothing is known.
    """
    seeds, speeds = range(plan.spec.seeds), measured_speeds(plan)
    arms = []
    for name in plan.spec.chosen:
        arm = plan.arms[name]
        done = [seed for seed in seeds if is_done(plan, name, seed)]
        failed = [seed for seed in seeds if seed not in done and is_failed(plan, name, seed)]
        begun = [seed for seed in seeds if seed not in (*done, *failed) and _begun(plan, name, seed)]
        arms.append(
            {
                "name": name,
                "parameters": arm.parameters,
                "macs": arm.macs,
                "epochs": plan.budget["epochs"].get(name),
                "difference": arm.difference,
                "levels": plan.levels.get(name, {}),
                "done": done,
                "failed": failed,
                "unfinished": begun,
                "to_run": len(seeds) - len(done) - (0 if "failed" in plan.spec.retry else len(failed)),
                "seconds": trial_seconds(plan, name, done, speeds.get(name)),
                "peak_memory_bytes": speeds.get(name, {}).get("peak_memory_bytes"),
                "id": arm.id,
            }
        )
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
        "seeds": plan.spec.seeds,
        "trials": plan.spec.seeds * len(arms),
        "to_run": to_run,
        "workers": plan.at_once(to_run),
        "arms": arms,
        "seconds_left": _seconds_left(arms),
    }


def _begun(plan: Plan, arm: str, seed: int) -> bool:
    place = plan.trial_directory(arm, seed)
    return place.is_dir() and any(place.iterdir())


def _seconds_left(arms: list[dict[str, Any]]) -> float | None:
    """Return the seconds of training that are left, one trial after the other; None if nothing is known of any arm.

    An arm of which nothing is known counts as the mean of the others.
    """
    known = [arm["seconds"] for arm in arms if arm["seconds"] is not None]
    if not known:
        return None
    mean = sum(known) / len(known)
    return float(sum(arm["to_run"] * (mean if arm["seconds"] is None else arm["seconds"]) for arm in arms))


def arms_table(found: dict[str, Any]) -> Table:
    """One row an arm; a column of which nothing is known is left out."""
    columns = {
        "parameters": [f"{arm['parameters']:,}" for arm in found["arms"]],
        "GMACs": [f"{arm['macs'] / 1e9:.4g}" for arm in found["arms"]],
        "epochs": [str(arm["epochs"] or "") for arm in found["arms"]],
        "trials": [str(found["seeds"]) for _ in found["arms"]],
        "done": [str(len(arm["done"])) for arm in found["arms"]],
        "failed": [str(len(arm["failed"]) or "") for arm in found["arms"]],
        "unfinished": [str(len(arm["unfinished"]) or "") for arm in found["arms"]],
        "s a trial": ["" if arm["seconds"] is None else f"{arm['seconds']:.0f}" for arm in found["arms"]],
        "MB": [f"{arm['peak_memory_bytes'] / 1e6:,.0f}" if arm["peak_memory_bytes"] else "" for arm in found["arms"]],
    }
    shown = {heading: cells for heading, cells in columns.items() if any(cells)}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("arm")
    for heading in shown:
        table.add_column(heading, justify="right")
    for number, arm in enumerate(found["arms"]):
        name = f"{arm['name']} (baseline)" if arm["name"] == found["baseline"] else arm["name"]
        table.add_row(name, *(cells[number] for cells in shown.values()))
    return table


def differences(found: dict[str, Any]) -> list[str]:
    """Each arm's resolved difference from the baseline."""
    keys = dict.fromkeys(key for arm in found["arms"] for key in arm["difference"])
    short = short_keys(keys)
    lines = []
    for arm in found["arms"]:
        if arm["difference"]:
            lines.append(f"{arm['name']}:")
            for key, pair in arm["difference"].items():
                old, new = short_values(pair)
                lines.append(f"  {short[key]}: {old} -> {new}")
    return lines


def totals(found: dict[str, Any]) -> list[str]:
    """What is equal across arms, how many trials are left, and what those take."""
    done, failed = (sum(len(arm[key]) for arm in found["arms"]) for key in ("done", "failed"))
    kept = f", {failed} failed" if failed else ""
    trials = f"{found['trials']} trials, {done} done{kept}, {found['to_run']} to run. Directory: {found['directory']}"
    return [f"Budget: equal {EQUAL[found['budget']['equal']]}.", trials, *_takes(found)]


def _takes(found: dict[str, Any]) -> list[str]:
    if not found["to_run"]:
        return []
    lines = []
    seconds, workers = found["seconds_left"], found["workers"]
    if seconds is None:
        lines.append(f"Time: not measured: vitcli speed {found['file']}")
    elif found["launcher"] == "local":
        lines.append(f"Time: about {_long(seconds)} of training, {_long(seconds / workers)} with {workers} at a time")
    else:
        lines.append(f"Time: about {_long(seconds)} of training, shared by what {found['launcher']} gives")
    peaks = [arm["peak_memory_bytes"] for arm in found["arms"] if arm["peak_memory_bytes"]]
    most = f"{max(peaks, default=0) / 1e6:,.0f} MB of tensors at most in a training step"
    lines.append(f"Memory: {most}" if peaks else f"Memory: not measured: vitcli speed {found['file']}")
    return lines


def _long(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"

"""Printing the plan of an ablation: a table of its arms, their differences from the baseline, and the trials to run."""

import json
from typing import Any

from rich.table import Table

from vitcli.ablation.plan_summary import plan_summary
from vitcli.ablation.planning.first_look import look_at_section
from vitcli.ablation.worker import plan_in_worker, start_server
from vitcli.config.command_line import Arguments, Planning
from vitcli.console import Output
from vitcli.report import short_keys, short_values

FORMS = ("table", "json")
EQUAL = {"epochs": "epochs", "training_time": "training time", "macs": "multiply-adds"}


def show_plan(arguments: Arguments, form: str, planning: Planning) -> dict[str, str]:
    """Plan and print; nothing is written. Return arm -> identity.

    Args:
        arguments: Files and overrides.
        form: ``table`` or ``json``.
        planning: Whether arms are rehearsed.

    Raises:
        ConfigError: The input is bad.
    """
    look_at_section(arguments)
    start_server("planning" if planning == "quick" else "training")
    plan = plan_in_worker(arguments, planning)
    found = plan_summary(plan, " --config ".join(arguments.files))
    identities = {name: arm.id for name, arm in plan.arms.items()}
    if form == "json":
        print(json.dumps(found, indent=2))
        return identities
    console = Output()
    console.print(f"{found['name']}: {found['question']}", highlight=False)
    console.print(_arms_table(found))
    for line in (*_differences(found), *_totals(found)):
        console.print(line, highlight=False, soft_wrap=True)
    return identities


def _arms_table(found: dict[str, Any]) -> Table:
    """Return a table with one row for each arm; columns without any value are left out."""
    columns = {heading: cells for heading, cells in _columns(found).items() if any(cells)}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("arm")
    for heading in columns:
        table.add_column(heading, justify="right")
    for number, arm in enumerate(found["arms"]):
        name = f"{arm['name']} (baseline)" if arm["name"] == found["baseline"] else arm["name"]
        table.add_row(name, *(cells[number] for cells in columns.values()))
    return table


def _columns(found: dict[str, Any]) -> dict[str, list[str]]:
    arms = found["arms"]
    unit, size = ("GMACs", 1e9) if max(arm["macs"] for arm in arms) >= 1e8 else ("million MACs", 1e6)
    return {
        "parameters": [f"{arm['parameters']:,}" for arm in arms],
        unit: [f"{arm['macs'] / size:.4g}" for arm in arms],
        "epochs": [str(arm["epochs"] or "") for arm in arms],
        "trials": [str(arm["trials"]) for arm in arms],
        "done": [str(len(arm["done"])) for arm in arms],
        "failed": [str(len(arm["failed"]) or "") for arm in arms],
        "unfinished": [str(len(arm["unfinished"]) or "") for arm in arms],
        "s per trial": ["" if arm["seconds"] is None else f"{arm['seconds']:.0f}" for arm in arms],
        "MB": [f"{arm['peak_memory_bytes'] / 1e6:,.0f}" if arm["peak_memory_bytes"] else "" for arm in arms],
    }


def _differences(found: dict[str, Any]) -> list[str]:
    """Return the lines that state how each arm differs from the baseline."""
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


def _totals(found: dict[str, Any]) -> list[str]:
    """Return the lines about the whole ablation: its budget, the trials that are left, their time and memory."""
    done, failed = (sum(len(arm[key]) for arm in found["arms"]) for key in ("done", "failed"))
    kept = f", {failed} failed" if failed else ""
    to_run = f"{'at most ' if found['looks'] else ''}{found['to_run']} to run"
    trials = f"{found['trials']} trials, {done} done{kept}, {to_run}. Directory: {found['directory']}"
    stopped = [f"{arm['name']}: {arm['stopped']}" for arm in found["arms"] if arm["stopped"]]
    budget = f"Budget: equal {EQUAL[found['budget']['equal']]}."
    lines = [budget, *found["seed_notes"], *stopped, *_pretraining(found), trials]
    return [*lines, _time(found), _memory(found)] if found["to_run"] else lines


def _pretraining(found: dict[str, Any]) -> list[str]:
    """Return a line for each classifier that backbones start from, with its seeds that are trained already."""
    lines = []
    for one in found["classifiers"]:
        arms = ", ".join(arm["name"] for arm in found["arms"] if arm["classifier"] == one["name"])
        count = f"{len(one['needed'])} seed{'' if len(one['needed']) == 1 else 's'}, {len(one['trained'])} trained"
        lines.append(f"Pretraining: {one['name']}, {count}; for {arms}. Directory: {one['directory']}")
    return lines


def _time(found: dict[str, Any]) -> str:
    seconds, workers = found["seconds_left"], found["workers"]
    if seconds is None:
        return f"Time: not known yet; vitcli speed {found['file']} measures it"
    if found["launcher"] == "local":
        return f"Time: about {_duration(seconds)} of training, {_duration(seconds / workers)} with {workers} at a time"
    return (
        f"Time: about {_duration(seconds)} of training, divided by the trials that {found['launcher']} runs at a time"
    )


def _memory(found: dict[str, Any]) -> str:
    peaks = [arm["peak_memory_bytes"] for arm in found["arms"] if arm["peak_memory_bytes"]]
    if not peaks:
        return f"Memory: not known yet; vitcli speed {found['file']} measures it"
    return f"Memory: at most {max(peaks) / 1e6:,.0f} MB of tensors in a training step"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"

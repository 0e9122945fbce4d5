"""``vitcli plan``: what an ablation would run, without training: arms, differences, costs, trials, what is done."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from vitcli.ablation.planned import Plan
from vitcli.ablation.state import is_done
from vitcli.ablation.worker import plan_in_worker, start_server
from vitcli.arguments import Arguments
from vitcli.json_files import read_json
from vitcli.report.names import short_keys, short_values

FORMS = ("table", "json")


def show_plan(arguments: Arguments, form: str) -> int:
    """Plan and print; nothing is written."""
    start_server()
    found = summary(plan_in_worker(arguments))
    if form == "json":
        print(json.dumps(found, indent=2))
        return 0
    console = Console()
    console.print(f"{found['name']}: {found['question']}", highlight=False)
    console.print(arms_table(found))
    for line in differences(found):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(totals(found), highlight=False)
    return 0


def summary(plan: Plan) -> dict[str, Any]:
    """Return the plan as data, with what is done and how long its trials took."""
    arms = []
    for name in plan.spec.chosen:
        arm = plan.arms[name]
        done = [seed for seed in range(plan.spec.seeds) if is_done(plan, name, seed)]
        took = [seconds for seed in done if (seconds := _seconds(plan, name, seed)) is not None]
        arms.append(
            {
                "name": name,
                "parameters": arm.parameters,
                "macs": arm.macs,
                "difference": arm.difference,
                "done": done,
                "seconds": sum(took) / len(took) if took else None,
                "id": arm.id,
            }
        )
    return {
        "name": plan.name,
        "question": plan.question,
        "directory": str(plan.directory),
        "baseline": plan.spec.baseline,
        "metric": {"name": plan.spec.metric.name, "direction": plan.spec.metric.direction},
        "seeds": plan.spec.seeds,
        "trials": plan.spec.seeds * len(arms),
        "arms": arms,
    }


def _seconds(plan: Plan, arm: str, seed: int) -> float | None:
    result = read_json(plan.trial_directory(arm, seed) / "result.json") or {}
    return result.get("train_seconds")


def arms_table(found: dict[str, Any]) -> Table:
    """One row an arm."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("arm")
    for heading in ("parameters", "GMACs", "trials", "done", "s a trial"):
        table.add_column(heading, justify="right")
    for arm in found["arms"]:
        name = f"{arm['name']} (baseline)" if arm["name"] == found["baseline"] else arm["name"]
        seconds = "" if arm["seconds"] is None else f"{arm['seconds']:.0f}"
        counts = (str(found["seeds"]), str(len(arm["done"])), seconds)
        table.add_row(name, f"{arm['parameters']:,}", f"{arm['macs'] / 1e9:.4g}", *counts)
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


def totals(found: dict[str, Any]) -> str:
    """How many trials there are, are done and are left, and how long those would take one after the other."""
    done = sum(len(arm["done"]) for arm in found["arms"])
    known = [arm["seconds"] for arm in found["arms"] if arm["seconds"] is not None]
    left = found["trials"] - done
    text = f"{found['trials']} trials, {done} done, {left} to run"
    if known and left:
        mean = sum(known) / len(known)
        per_arm = (
            (found["seeds"] - len(arm["done"])) * (mean if arm["seconds"] is None else arm["seconds"])
            for arm in found["arms"]
        )
        text += f", about {sum(per_arm) / 60:.0f} minutes of training one after the other"
    return f"{text}. Directory: {found['directory']}"

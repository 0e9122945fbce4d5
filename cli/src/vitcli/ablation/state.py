"""What lies in a trial's directory, and what is to be done about it."""

from datetime import UTC, datetime
from typing import Any

from vitcli.ablation.planned import Plan
from vitcli.json_files import read_json, write_json


def is_done(plan: Plan, arm: str, seed: int) -> bool:
    """Whether a trial's result.json says that it is done and belongs to this very configuration."""
    result = read_json(plan.trial_directory(arm, seed) / "result.json") or {}
    return result.get("status") == "done" and result.get("id") == plan.arms[arm].id


def make_room(plan: Plan, arm: str, seed: int) -> None:
    """Move what an earlier configuration or an unfinished try left in a trial's place out of the way; nothing is deleted."""
    place = plan.trial_directory(arm, seed)
    if not place.exists() or not any(place.iterdir()):
        return
    number = 1
    while (aside := plan.directory / ".superseded" / arm / f"seed{seed}.{number}").exists():
        number += 1
    aside.parent.mkdir(parents=True, exist_ok=True)
    place.rename(aside)


def record_end(plan: Plan, arm: str, seed: int, cause: str) -> dict[str, Any]:
    """Return the result that a trial left; if it left none, write that it failed of ``cause``."""
    path = plan.trial_directory(arm, seed) / "result.json"
    result: dict[str, Any] | None = read_json(path)
    if result is None:
        head = {"format": 1, "arm": arm, "seed": seed, "id": plan.arms[arm].id}
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        result = {**head, "status": "failed", "cause": cause, "finished_at": finished}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
    return result

"""Reading what the runner may have left beside the results: provenance, budget, levels of factors, and measured speeds."""

from pathlib import Path
from typing import Any

from vitcli.records.conditions import ArmSpeed, Budget, Provenance, Speed
from vitcli.records.json_records import ReportError, get, get_number, get_optional, read

SPEED = "speed.json"


def provenance(result: dict[str, Any], path: Path) -> Provenance | None:
    """Of one trial; None if its result does not tell."""
    record = get_optional(result, "provenance", dict, path)
    if record is None:
        return None
    return Provenance(
        commit=get_optional(record, "commit", str, path),
        dirty=get_optional(record, "dirty", str, path),
        versions={str(name): str(version) for name, version in (record.get("versions") or {}).items()},
        data=get_optional(record, "data", str, path),
        device=str(record.get("device") or ""),
    )


def budget(plan: dict[str, Any], path: Path) -> Budget | None:
    """What every arm may spend; None if the plan does not tell."""
    record = get_optional(plan, "budget", dict, path)
    if record is None:
        return None
    epochs = get_optional(record, "epochs", dict, path) or {}
    return Budget(get(record, "equal", str, path), {arm: int(get_number(epochs, arm, path)) for arm in epochs})


def levels(plan: dict[str, Any], path: Path) -> dict[str, dict[str, str]]:
    """Arm -> factor -> level, of the arms that were made from factors."""
    record = get_optional(plan, "levels", dict, path) or {}
    found = {arm: get(record, arm, dict, path) for arm in record}
    return {arm: {str(factor): str(level) for factor, level in of.items()} for arm, of in found.items()}


def speed(root: Path) -> Speed | None:
    """The measured speeds; None if there is no speed.json."""
    path = root / SPEED
    if not path.exists():
        return None
    record = read(path)
    arms = get(record, "arms", dict, path)
    return Speed(
        device=get(record, "device", str, path),
        threads=get(record, "threads", int, path),
        batch_size=get(record, "batch_size", int, path),
        precision=get(record, "precision", str, path),
        rounds=get(record, "rounds", int, path),
        measured_at=str(record.get("measured_at") or ""),
        arms={name: _arm_speed(name, arm, path) for name, arm in arms.items()},
    )


def _arm_speed(name: str, arm: Any, path: Path) -> ArmSpeed:
    if not isinstance(arm, dict):
        raise ReportError(f"{path}: the arm {name} must be an object, got {arm!r}.")
    return ArmSpeed(
        id=get(arm, "id", str, path),
        train_images_per_second=get_number(arm, "train_images_per_second", path),
        inference_images_per_second=get_number(arm, "inference_images_per_second", path),
        latency_ms=get_number(arm, "latency_ms", path),
        peak_memory_bytes=int(get_number(arm, "peak_memory_bytes", path)),
        step_seconds=get_number(arm, "step_seconds", path),
    )

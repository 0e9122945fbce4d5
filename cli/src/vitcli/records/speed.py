"""speed.json: how fast the arms train and infer, measured side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitcli.records.json_files import FORMAT, RecordError, get, get_number, read_json, read_record

SPEED = "speed.json"


@dataclass(frozen=True)
class ArmSpeed:
    """The speed of one arm, measured under the conditions of the ``Speed`` that holds it.

    Args:
        id: Hash of the config that was measured.
        train_images_per_second: Images per second of training steps on whole batches.
        inference_images_per_second: Images per second of the model alone on whole batches.
        latency_ms: Milliseconds for one image alone.
        peak_memory_bytes: Peak memory of a training step, in bytes.
        step_seconds: Seconds for a training step.
    """

    id: str
    train_images_per_second: float
    inference_images_per_second: float
    latency_ms: float
    peak_memory_bytes: int
    step_seconds: float


@dataclass(frozen=True)
class Speed:
    """The speeds of the arms, measured in turns on one device.

    Args:
        device: Model of the CPU or GPU.
        threads: CPU threads.
        batch_size: Images in a batch.
        precision: Precision of the trainer.
        rounds: How often each arm was measured.
        measured_at: Date and time.
        arms: Arm -> its speed.
        other_load: Processor cores that other processes kept busy meanwhile; None if it was not recorded.
    """

    device: str
    threads: int
    batch_size: int
    precision: str
    rounds: int
    measured_at: str
    arms: Mapping[str, ArmSpeed]
    other_load: float | None = None


def speed_record(
    conditions: Mapping[str, Any], rounds: int, measured_at: str, arms: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the content of speed.json; ``Speed`` and ``ArmSpeed`` describe the values.

    Args:
        conditions: ``device``, ``threads``, ``batch_size``, ``precision`` and ``other_load``.
        rounds: How often each arm was measured.
        measured_at: Date and time.
        arms: Arm -> ``id`` and the measured numbers.
    """
    return {"format": FORMAT, **conditions, "rounds": rounds, "measured_at": measured_at, "arms": dict(arms)}


def measured_arms(directory: Path) -> dict[str, Any] | None:
    """Return arm -> what speed.json says of it; None if there is no speed.json that can be read."""
    arms = (read_json(directory / SPEED) or {}).get("arms")
    return arms if isinstance(arms, dict) else None


def read_speed(directory: Path) -> Speed | None:
    """Return the measured speeds of an ablation; None if there is no speed.json.

    Raises:
        RecordError: The file cannot be read, or a value has the wrong type.
    """
    path = directory / SPEED
    if not path.exists():
        return None
    record = read_record(path)
    arms = get(record, "arms", dict, path)
    return Speed(
        device=get(record, "device", str, path),
        threads=get(record, "threads", int, path),
        batch_size=get(record, "batch_size", int, path),
        precision=get(record, "precision", str, path),
        rounds=get(record, "rounds", int, path),
        measured_at=str(record.get("measured_at") or ""),
        arms={name: _arm_speed(name, arm, path) for name, arm in arms.items()},
        other_load=None if record.get("other_load") is None else get_number(record, "other_load", path),
    )


def _arm_speed(name: str, arm: Any, path: Path) -> ArmSpeed:
    if not isinstance(arm, dict):
        raise RecordError(f"{path}: the arm {name} must be an object, got {arm!r}.")
    return ArmSpeed(
        id=get(arm, "id", str, path),
        train_images_per_second=get_number(arm, "train_images_per_second", path),
        inference_images_per_second=get_number(arm, "inference_images_per_second", path),
        latency_ms=get_number(arm, "latency_ms", path),
        peak_memory_bytes=int(get_number(arm, "peak_memory_bytes", path)),
        step_seconds=get_number(arm, "step_seconds", path),
    )

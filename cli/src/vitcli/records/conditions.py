"""Under which conditions trials ran and speeds were measured: frozen records, and no knowledge of files."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Provenance:
    """Which code, data and device made one trial.

    Args:
        commit: Of the repository; None outside of one.
        dirty: Hash of the changes that were not committed; None if there were none.
        versions: Package -> version.
        data: Fingerprint of the data; None if it was not taken.
        device: Model of the CPU or GPU.
    """

    commit: str | None
    dirty: str | None
    versions: Mapping[str, str]
    data: str | None
    device: str


@dataclass(frozen=True)
class Budget:
    """What every arm may spend.

    Args:
        equal: What is equal in all arms: ``epochs``, ``training_time`` or ``macs``.
        epochs: Arm -> the epochs that this comes to.
    """

    equal: str
    epochs: Mapping[str, int]


@dataclass(frozen=True)
class ArmSpeed:
    """One arm's speed, measured under the conditions of its ``Speed``.

    Args:
        id: Hash of the config that was measured.
        train_images_per_second, inference_images_per_second: Throughput of a whole batch.
        latency_ms: Milliseconds for one image alone.
        peak_memory_bytes: Of a training step.
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
    """Speeds of the arms, measured in turns on one device.

    Args:
        device, threads, batch_size, precision, rounds: The conditions, equal for all arms.
        measured_at: Date and time.
        arms: Arm -> what was measured.
    """

    device: str
    threads: int
    batch_size: int
    precision: str
    rounds: int
    measured_at: str
    arms: Mapping[str, ArmSpeed]

"""What a trial was made with, and what every arm may spend: frozen records that are parts of the JSON files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vitcli.records.json_files import RecordError, get, get_number, get_optional, number


@dataclass(frozen=True)
class StartingWeights:
    """A file of weights that a training started from.

    Args:
        file: Its path, as the configuration names it.
        sha256: Hash of its content.
        metrics: Metric -> score of the run that wrote it; empty if that is not known.
    """

    file: str
    sha256: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """The code, data and device that made one trial.

    Args:
        commit: Commit of the repository; None outside of a repository.
        dirty: Hash of the uncommitted changes; None if there were none.
        versions: Package -> version.
        data: Fingerprint of the data; None if it was not taken.
        device: Model of the CPU or GPU.
        data_notes: What the data module says of its data, for example how many damaged images were left out.
        own: Packages of the user's own that the trial's arm uses.
        weights: The files of weights that the training started from.
    """

    commit: str | None
    dirty: str | None
    versions: Mapping[str, str]
    data: str | None
    device: str
    data_notes: str = ""
    own: frozenset[str] = frozenset()
    weights: tuple[StartingWeights, ...] = ()


@dataclass(frozen=True)
class Budget:
    """What every arm may spend.

    Args:
        equal: What is equal in all arms: ``epochs``, ``training_time`` or ``macs``.
        epochs: Arm -> the number of epochs that this amounts to.
    """

    equal: str
    epochs: Mapping[str, int]


def read_provenance(result: dict[str, Any], path: Path) -> Provenance | None:
    """Return the provenance in a trial's result; None if the result has none.

    Raises:
        RecordError: A value has the wrong type.
    """
    record = get_optional(result, "provenance", dict, path)
    if record is None:
        return None
    return Provenance(
        commit=get_optional(record, "commit", str, path),
        dirty=get_optional(record, "dirty", str, path),
        versions={
            str(name): str(version) for name, version in (get_optional(record, "versions", dict, path) or {}).items()
        },
        data=get_optional(record, "data", str, path),
        device=str(record.get("device") or ""),
        data_notes=str(record.get("data_notes") or ""),
        own=frozenset(str(name).partition(".")[0] for name in get_optional(record, "code", dict, path) or {}),
        weights=tuple(_starting_weights(one, path) for one in get_optional(record, "weights", list, path) or ()),
    )


def _starting_weights(record: Any, path: Path) -> StartingWeights:
    if not isinstance(record, dict):
        raise RecordError(f"{path}: weights must hold mappings, got {record!r}.")
    metrics = {str(name): number(value) for name, value in (get_optional(record, "metrics", dict, path) or {}).items()}
    return StartingWeights(get(record, "file", str, path), get(record, "sha256", str, path), metrics)


def read_budget(plan: dict[str, Any], path: Path) -> Budget | None:
    """Return the budget in an ablation's record; None if the record has none.

    Raises:
        RecordError: A value has the wrong type.
    """
    record = get_optional(plan, "budget", dict, path)
    if record is None:
        return None
    epochs = get_optional(record, "epochs", dict, path) or {}
    return Budget(get(record, "equal", str, path), {arm: int(get_number(epochs, arm, path)) for arm in epochs})

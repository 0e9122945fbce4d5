"""One arm in ablation.json: what it is called, what it computes, and its trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitcli.records.json_files import RecordError, get, get_count
from vitcli.records.trial import Trial


@dataclass(frozen=True)
class Arm:
    """One variant of the ablation with its planned trials.

    Args:
        name: Its name in the ablation's file.
        id: Hash of its resolved config.
        difference: Resolved key -> (value in the baseline, value in this arm).
        parameters: Number of learned parameters; None if it was not measured.
        macs: Multiply-adds for one image; None if they were not measured.
        trials: One per planned seed, in the plan's order, whatever their status.
        label: What it is in a few words; empty if the file does not say.
    """

    name: str
    id: str
    difference: Mapping[str, tuple[Any, Any]]
    parameters: int | None
    macs: int | None
    trials: tuple[Trial, ...] = ()
    label: str = ""

    @property
    def done(self) -> tuple[Trial, ...]:
        """The trials that statistics use."""
        return tuple(trial for trial in self.trials if trial.status == "done")

    def values(self, metric: str) -> dict[int, float]:
        """Seed -> final value of ``metric``, over the done trials that have it."""
        return {trial.seed: trial.metrics[metric] for trial in self.done if metric in trial.metrics}


def read_arm(name: str, record: Any, path: Path) -> Arm:
    """Return an arm without its trials.

    Raises:
        RecordError: The record is damaged.
    """
    if not isinstance(record, dict):
        raise RecordError(f"{path}: the arm {name} must be an object, got {record!r}.")
    difference = {key: _pair(key, pair, path) for key, pair in get(record, "difference", dict, path).items()}
    return Arm(
        name,
        get(record, "id", str, path),
        difference,
        get_count(record, "parameters", path),
        get_count(record, "macs", path),
        label=str(record.get("label") or ""),
    )


def _pair(key: str, pair: Any, path: Path) -> tuple[Any, Any]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise RecordError(f"{path}: the difference in {key} must be [baseline's value, arm's value], got {pair!r}.")
    return pair[0], pair[1]

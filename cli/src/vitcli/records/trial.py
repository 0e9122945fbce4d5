"""result.json, the record of one training run: what is written into it, how it is read, and when a trial is done."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vitcli.records.conditions import Provenance, read_provenance
from vitcli.records.json_files import (
    FORMAT,
    RecordError,
    get,
    get_amount,
    get_count,
    get_counts,
    get_optional,
    number,
    read_json,
    read_record,
)

RESULT = "result.json"

Status = Literal["done", "failed", "not finite", "stale", "unfinished", "no metric", "dropped", "unplanned"]


def trial_directory(root: Path, arm: str, seed: int) -> Path:
    """Return the directory of one trial of the ablation that lies in ``root``."""
    return root / arm / f"seed{seed}"


def result_head(arm: str, seed: int, id_: str) -> dict[str, Any]:
    """Return the first entries of a trial's result: which trial it is, and the hash of the arm's configuration."""
    return {"format": FORMAT, "arm": arm, "seed": seed, "id": id_}


def done_result(
    *,
    metrics: Mapping[str, float],
    epochs: int,
    train_seconds: float,
    train_images: int,
    threads: int,
    provenance: Mapping[str, Any],
    ended_early: bool = False,
) -> dict[str, Any]:
    """Return the entries for a training that reached its end; ``Trial`` describes the values."""
    return {
        "status": "done",
        "metrics": dict(metrics),
        "epochs": epochs,
        "train_seconds": train_seconds,
        "train_images": train_images,
        "threads": threads,
        "provenance": dict(provenance),
        **({"ended_early": True} if ended_early else {}),
    }


def failed_result(cause: str) -> dict[str, Any]:
    """Return the entries for a training that failed."""
    return {"status": "failed", "cause": cause}


def result_end(resumed: Sequence[int], finished_at: str, log: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the last entries of a trial's result: its continuations, the time, and for a failed one the last log lines."""
    return {"resumed": list(resumed), **({} if log is None else {"log": list(log)}), "finished_at": finished_at}


def read_result(directory: Path) -> dict[str, Any] | None:
    """Return the result in a trial's directory; None if there is none, or none that can be read."""
    result = read_json(directory / RESULT)
    return result if result is not None and result.get("format") == FORMAT else None


def result_status(result: Mapping[str, Any] | None, id_: str) -> tuple[Status, str]:
    """Return whether a trial is done and, if not, why.

    This is the one definition that the runner and the report share. A trial is done if its result says so, was made by
    this very configuration, and all its metrics are finite numbers.

    Args:
        result: The content of result.json; None if there is none.
        id_: Hash of the arm's configuration as it is now.

    Returns:
        The status, one of ``done``, ``failed``, ``not finite``, ``stale`` and ``unfinished``, and the cause of a status
        other than ``done``.
    """
    if result is None:
        return "unfinished", f"no {RESULT} yet"
    if result.get("id") != id_:
        return "stale", f"made by the config {result.get('id')}, the arm's is {id_}"
    if result.get("status") == "failed":
        return "failed", str(result.get("cause") or "no cause recorded")
    if result.get("status") != "done":
        return "unfinished", f"the status in {RESULT} is {result.get('status')}"
    metrics = result.get("metrics")
    if not isinstance(metrics, Mapping):
        return "not finite", "the result has no metrics"
    for name, value in metrics.items():
        if not math.isfinite(number(value)):
            return "not finite", f"{name} is {number(value)}"
    return "done", ""


@dataclass(frozen=True)
class Trial:
    """One training run: one arm with one seed.

    Only a trial whose ``status`` is ``done`` enters a statistic; the report lists all others with their ``cause``.

    Args:
        arm: Name of its arm.
        seed: The replicate.
        directory: Where its files are.
        status: ``done``; ``failed`` (the result says so); ``not finite`` (a metric is NaN or infinite, or all are missing);
            ``stale`` (made by another resolved config than the arm's); ``unfinished`` (there is no result yet);
            ``no metric`` (done, but the result lacks the metric that the ablation compares, so that running the trial again
            would change nothing); ``dropped`` (there is no result, because racing stopped the arm); ``unplanned`` (a result
            under an arm or seed that the plan does not have).
        cause: Why the trial is not ``done``, in words; empty if it is.
        epochs: Number of epochs trained.
        metrics: Metric, e.g. ``test/acc1`` -> final value, which may be NaN.
        train_seconds: Seconds spent in training.
        train_images: Images seen in training.
        threads: CPU threads it ran with.
        provenance: Which code, data and device made it; None if that was not recorded.
        ended_early: Whether a callback of the configuration, such as EarlyStopping, ended the training before its last epoch.
        resumed: For each continuation, how many epochs were done before; empty if the trial was never interrupted.
        log: The last lines of the log, if the trial failed.
    """

    arm: str
    seed: int
    directory: Path
    status: Status
    cause: str = ""
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    train_seconds: float = 0.0
    train_images: int = 0
    threads: int = 0
    provenance: Provenance | None = None
    ended_early: bool = False
    resumed: tuple[int, ...] = ()
    log: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``<arm>/seed<k>``, the path of its directory."""
        return f"{self.arm}/seed{self.seed}"


def read_trial(root: Path, arm: str, seed: int, id_: str, metric: str) -> Trial:
    """Return what is known of one planned trial.

    Args:
        root: Directory of the ablation.
        arm: Name of the arm.
        seed: The replicate.
        id_: Hash of the arm's configuration.
        metric: The metric that the ablation compares.

    Raises:
        RecordError: The result cannot be read, or belongs to another trial.
    """
    directory = trial_directory(root, arm, seed)
    path = directory / RESULT
    if not path.exists():
        return Trial(arm, seed, directory, "unfinished", f"no {RESULT} yet" if directory.is_dir() else "not started")
    result = _checked_result(path, arm, seed)
    metrics = {name: number(value) for name, value in (get_optional(result, "metrics", dict, path) or {}).items()}
    status, cause = result_status(result, id_)
    if status == "done" and metric not in metrics:
        status, cause = "no metric", f"the result has no {metric}"
    return Trial(
        arm=arm,
        seed=seed,
        directory=directory,
        status=status,
        cause=cause,
        epochs=get_count(result, "epochs", path) or 0,
        metrics=metrics,
        train_seconds=get_amount(result, "train_seconds", path),
        train_images=int(get_amount(result, "train_images", path)),
        threads=get_count(result, "threads", path) or 0,
        provenance=read_provenance(result, path),
        ended_early=bool(result.get("ended_early")),
        resumed=get_counts(result, "resumed", path),
        log=tuple(str(line) for line in get_optional(result, "log", list, path) or ()),
    )


def _checked_result(path: Path, arm: str, seed: int) -> dict[str, Any]:
    """Return the content of result.json with what every result must have."""
    result = read_record(path)
    owner = (get(result, "arm", str, path), get(result, "seed", int, path))
    if owner != (arm, seed):
        raise RecordError(f"{path}: the result is of {owner[0]}/seed{owner[1]}, but lies in {arm}/seed{seed}.")
    get(result, "id", str, path)
    status = get(result, "status", str, path)
    if status not in ("done", "failed"):
        raise RecordError(f"{path}: status must be done or failed, got {status}.")
    return result

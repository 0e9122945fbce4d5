"""The results of an ablation as tables of pandas: its trials, its arms and the curves of its trainings."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitcli.records.ablation import Ablation, load
from vitcli.records.metrics import METRICS, Axis, read_series
from vitcli.records.trial import Trial
from vitcli.report.columns import COLUMNS, CSV, columns_of
from vitcli.report.summary import Row, Summary, summarise

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Results:
    """What an ablation has found, as three tables. A value that does not exist is missing (NaN or None).

    Args:
        arms: One row for each arm, in the file's order and indexed by its name, with the columns of ``report.csv``, and a
            column ``factor.NAME`` for each factor of an ablation that has factors.
        trials: One row for each trial: ``arm``, ``seed``, ``status``, ``cause``, the columns ``factor.NAME``, a column for each
            metric such as ``test/acc1``, ``epochs``, ``train_seconds``, ``train_images``, ``threads``, ``ended_early``,
            ``continued`` (how often) and ``directory``. Only trials whose status is ``done`` have metrics, so that a mean over
            the rows is the mean of the report.
        curves: One row for each epoch (or step) at which a finished trial logged something: ``arm``, ``seed``, ``epoch`` (or
            ``step``), and a column for each metric such as ``train/loss`` or ``val/acc1``.
    """

    arms: "DataFrame"
    trials: "DataFrame"
    curves: "DataFrame"


def results(directory: str | Path, axis: Axis = "epoch") -> Results:
    """Read the results of an ablation, finished or not. Needs pandas: ``pip install "vitcli[pandas]"``.

    Nothing is written, and the call does not count as a look at the results as a report does.

    Args:
        directory: The directory of the ablation, such as ``runs/localvit_act``.
        axis: What the curves are ordered by, ``epoch`` or ``step``. Of several values at one epoch the last one counts.

    Raises:
        ImportError: pandas is not installed.
        RecordError: The directory holds no ablation, or a file in it is damaged.
        ValueError: ``axis`` is neither ``epoch`` nor ``step``.
    """
    if axis not in ("epoch", "step"):
        raise ValueError(f"results: axis must be epoch or step, got {axis!r}.")
    pandas = _pandas()
    ablation = load(directory)
    return Results(
        arms=pandas.DataFrame(_arms(ablation)).set_index("arm"),
        trials=pandas.DataFrame(_trials(ablation)),
        curves=pandas.DataFrame(_curves(ablation, axis)),
    )


def _pandas() -> ModuleType:
    try:
        import pandas
    except ImportError as error:
        raise ImportError('results: pandas is not installed; install it with pip install "vitcli[pandas]".') from error
    return pandas


def _arms(ablation: Ablation) -> list[dict[str, Any]]:
    summary = summarise(ablation)
    return [{**_in_csv(summary, row), **_factors(ablation, row.arm)} for row in summary.rows]


def _in_csv(summary: Summary, row: Row) -> dict[str, Any]:
    """Return what report.csv has in a row; its empty cells are missing values."""
    cells = {column.key: column.value(summary, row) for column in columns_of(COLUMNS, CSV)}
    return {key: None if value == "" else value for key, value in cells.items()}


def _factors(ablation: Ablation, arm: str) -> dict[str, str]:
    return {f"factor.{name}": level for name, level in ablation.levels.get(arm, {}).items()}


def _trials(ablation: Ablation) -> list[dict[str, Any]]:
    planned = (trial for arm in ablation.arms for trial in arm.trials)
    return [_trial(ablation, trial) for trial in (*planned, *ablation.unplanned)]


def _trial(ablation: Ablation, trial: Trial) -> dict[str, Any]:
    values = trial.metrics if trial.status == "done" else {}
    return {
        "arm": trial.arm,
        "seed": trial.seed,
        "status": trial.status,
        "cause": trial.cause,
        **_factors(ablation, trial.arm),
        **{name: values.get(name) for name in ablation.metric_names},
        "epochs": trial.epochs,
        "train_seconds": trial.train_seconds,
        "train_images": trial.train_images,
        "threads": trial.threads,
        "ended_early": trial.ended_early,
        "continued": len(trial.resumed),
        "directory": str(trial.directory),
    }


def _curves(ablation: Ablation, axis: Axis) -> Iterator[dict[str, Any]]:
    for arm in ablation.arms:
        for trial in arm.done:
            series = read_series(trial.directory / METRICS, axis)
            for place in sorted({place for points in series.values() for place in points}):
                here = {name: points[place] for name, points in series.items() if place in points}
                yield {"arm": arm.name, "seed": trial.seed, axis: int(place), **here}

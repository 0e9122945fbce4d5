"""metrics.csv: what a run logged while it trained."""

import csv
import math
from collections import defaultdict
from pathlib import Path
from typing import Literal

from vitcli.records.arm import Arm
from vitcli.records.json_files import RecordError

METRICS = "metrics.csv"

Axis = Literal["epoch", "step"]


def read_arm_series(arm: Arm, axis: Axis) -> list[dict[str, dict[float, float]]]:
    """Return the series of each done trial of an arm that has any; see ``read_series``.

    Raises:
        RecordError: The file is no CSV, or a cell is neither empty nor a number.
    """
    trials = [read_series(trial.directory / METRICS, axis) for trial in arm.done]
    return [series for series in trials if series]


def read_series(path: Path, axis: Axis) -> dict[str, dict[float, float]]:
    """Return column -> epoch or step -> value, for the finite values of every ``train/...`` and ``val/...`` column.

    If a column has several values at one epoch or step, the last one counts. Without a file the result is empty.

    Raises:
        RecordError: The file is no CSV, or a cell is neither empty nor a number.
    """
    if not path.exists():
        return {}
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for row in _rows(path):
        try:
            cells = {name: float(cell) for name, cell in row.items() if cell}
        except (TypeError, ValueError):
            raise RecordError(f"{path}: every cell must be empty or a number, got the row {str(row)[:200]}.") from None
        for name, value in cells.items():
            if (
                name.startswith(("train/", "val/"))
                and math.isfinite(cells.get(axis, math.nan))
                and math.isfinite(value)
            ):
                found[name][cells[axis]] = value
    return dict(found)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise RecordError(f"{path}: not readable as CSV ({error}).") from None

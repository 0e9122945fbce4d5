"""Curves during training, from each trial's metrics.csv: mean and interval over the seeds."""

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vitcli.records.ablation import Arm
from vitcli.records.json_records import ReportError
from vitcli.statistics import significance
from vitcli.statistics.significance import Floats

Axis = Literal["epoch", "step"]


@dataclass(frozen=True)
class Curve:
    """The mean of one metric over the seeds of one arm.

    Args:
        x: Epochs or steps, increasing; those that every seed has, so that no point averages fewer seeds than another.
        mean: Mean at each x.
        half_width: Of the 95 % t-interval at each x; None with one seed.
        n: Number of seeds.
    """

    x: Floats
    mean: Floats
    half_width: Floats | None
    n: int

    @property
    def band(self) -> tuple[Floats, Floats]:
        """Lower and upper end of the interval; the mean itself with one seed."""
        width = np.zeros_like(self.mean) if self.half_width is None else self.half_width
        return self.mean - width, self.mean + width


def mean_curves(arm: Arm, axis: Axis) -> dict[str, Curve]:
    """Every ``train/...`` and ``val/...`` column of the done trials of an arm, averaged over the seeds.

    Raises:
        ReportError: A metrics.csv holds something else than numbers.
    """
    trials = [read_series(trial.directory / "metrics.csv", axis) for trial in arm.done]
    trials = [series for series in trials if series]
    names = [name for name in trials[0] if all(name in series for series in trials)] if trials else []
    curves = {name: _mean([series[name] for series in trials]) for name in names}
    return {name: curve for name, curve in curves.items() if curve.x.size}


def read_series(path: Path, axis: Axis) -> dict[str, dict[float, float]]:
    """Column -> epoch or step -> finite value; the last one where a column has several. Empty if there is no file."""
    if not path.exists():
        return {}
    found: dict[str, dict[float, float]] = defaultdict(dict)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                cells = {name: float(cell) for name, cell in row.items() if cell}
            except (TypeError, ValueError):
                raise ReportError(f"{path}: every cell must be empty or a number, got the row {row}.") from None
            for name, value in cells.items():
                if name.startswith(("train/", "val/")) and axis in cells and math.isfinite(value):
                    found[name][cells[axis]] = value
    return dict(found)


def _mean(series: list[dict[float, float]]) -> Curve:
    x = sorted(set(series[0]).intersection(*series[1:]))
    values = np.array([[one[at] for one in series] for at in x], dtype=np.float64).reshape(len(x), len(series))
    if len(series) < 2:
        return Curve(np.array(x), values.mean(-1), None, 1)
    mean, _, half_width = significance.mean_interval(values)
    return Curve(np.array(x), mean, half_width, len(series))

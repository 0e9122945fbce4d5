"""Curves during training: mean and interval over the seeds at every epoch or step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vitcli.statistics import significance
from vitcli.statistics.significance import Floats


@dataclass(frozen=True)
class Curve:
    """The mean of one metric over the seeds of one arm.

    Args:
        x: (k,) epochs or steps, increasing; only those that every seed has, so that no point averages fewer seeds than another.
        mean: (k,) mean at each x.
        half_width: (k,) half the width of the 95 % t-interval at each x; None with one seed.
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


def mean_curves(seeds: Sequence[Mapping[str, Mapping[float, float]]]) -> dict[str, Curve]:
    """Average each metric that every seed has.

    Args:
        seeds: For each seed, metric -> epoch or step -> value.

    Returns:
        Metric -> curve, for the metrics whose seeds have an epoch or step in common.
    """
    names = [name for name in seeds[0] if all(name in series for series in seeds)] if seeds else []
    curves = {name: mean_curve([series[name] for series in seeds]) for name in names}
    return {name: curve for name, curve in curves.items() if curve.x.size}


def mean_curve(seeds: Sequence[Mapping[float, float]]) -> Curve:
    """Average one metric over the epochs or steps that every seed has.

    Args:
        seeds: For each seed, at least one, epoch or step -> value.
    """
    x = sorted(set(seeds[0]).intersection(*seeds[1:]))
    values = np.array([[one[at] for one in seeds] for at in x], dtype=np.float64).reshape(len(x), len(seeds))
    if len(seeds) < 2:
        return Curve(np.array(x), values.mean(-1), None, 1)
    mean, _, half_width = significance.mean_interval(values)
    return Curve(np.array(x), mean, half_width, len(seeds))

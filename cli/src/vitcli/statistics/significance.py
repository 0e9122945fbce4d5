"""Statistics of paired replicates: pure functions on arrays, with the last axis the seeds. See docs/statistics.md."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SeedsNeeded = int | Literal["over the cap", "not defined"]

LEVEL = 0.95
ALPHA = 0.05
POWER = 0.80
SEED_CAP = 1000


def mean_interval(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, sample standard deviation and half-width of the 95 % t-interval, over the last axis.

    Args:
        values: (..., n) with n >= 2.

    Raises:
        ValueError: n < 2, because one value says nothing about the spread.
    """
    from scipy import special

    n = values.shape[-1]
    if n < 2:
        raise ValueError(f"mean_interval: an interval needs 2 values or more, got {n}.")
    sd = _sd(values)
    return values.mean(-1), sd, special.stdtrit(n - 1, (1 + LEVEL) / 2) * sd / np.sqrt(n)


def t_test(differences: Floats) -> Floats:
    """Return the two-sided p-value of the paired t-test, over the last axis.

    If all differences are equal, the test is not defined. The p-value is then 1 if they are all zero (nothing differs) and
    NaN otherwise: without a spread t is infinite for any number of seeds, and two equal differences would count as proof.

    Args:
        differences: (..., n) with n >= 2, one difference per seed.
    """
    from scipy import special

    n = differences.shape[-1]
    if n < 2:
        raise ValueError(f"t_test: a test needs 2 differences or more, got {n}.")
    mean, sd = differences.mean(-1), _sd(differences)
    flat = sd == 0
    t = np.abs(mean) * np.sqrt(n) / np.where(flat, 1.0, sd)
    p_value = 2 * special.stdtr(n - 1, -t)
    return np.where(flat, np.where(mean == 0, 1.0, np.nan), p_value)


def holm(p_values: Floats) -> Floats:
    """Adjust p-values by Holm's step-down procedure over the last axis.

    Comparing the adjusted values with 5 % keeps the chance of one or more false alarms at 5 %.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
    """
    k = p_values.shape[-1]
    order = np.argsort(p_values, axis=-1)
    steps = np.take_along_axis(p_values, order, -1) * np.arange(k, 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(steps, axis=-1), 1.0)
    return np.take_along_axis(adjusted, np.argsort(order, axis=-1), -1)


def _sd(values: Floats) -> Floats:
    # Equal values must give 0 exactly; the mean of n equal floats can be off by one bit.
    return np.where(np.ptp(values, axis=-1) == 0, 0.0, values.std(-1, ddof=1))

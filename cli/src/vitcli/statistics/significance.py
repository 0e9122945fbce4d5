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


def power(effect: float, seeds: Floats, level: float = ALPHA) -> Floats:
    """Return the chance that a two-sided paired t-test detects a difference.

    Args:
        effect: The difference, in standard deviations of the paired differences.
        seeds: (...) numbers of seeds.
        level: Level of the test.
    """
    from scipy import special

    df, shift = seeds - 1, abs(effect) * np.sqrt(seeds)
    critical = special.stdtrit(df, 1 - level / 2)
    seen = special.nctdtr(df, shift, -critical) + 1 - special.nctdtr(df, shift, critical)
    # The non-central t is not computable for huge shifts, where the power is 1.
    return np.where(np.isfinite(seen), seen, 1.0)


def seeds_needed(difference: float, sd: float, comparisons: int = 1) -> SeedsNeeded:
    """Return the smallest number of seeds that detects this paired difference in 80 % of repetitions, by exact search.

    The test is two-sided at 5 % divided by the number of comparisons. This is the level that Holm's procedure asks of the
    smallest p-value; it asks no less of any other.

    Args:
        difference: Mean of the paired differences.
        sd: Standard deviation of the paired differences.
        comparisons: Number of comparisons that Holm's procedure corrects for.

    Returns:
        The number; ``over the cap`` if it exceeds 1000; ``not defined`` if the difference or the spread is 0.
    """
    if difference == 0 or sd == 0:
        return "not defined"
    # The power grows with the number of seeds: fewer than ten evaluations find the first that is enough.
    low, high = 1, SEED_CAP + 1
    while high - low > 1:
        middle = (low + high) // 2
        enough = bool(power(difference / sd, np.array([float(middle)]), ALPHA / comparisons)[0] >= POWER)
        low, high = (low, middle) if enough else (middle, high)
    return high if high <= SEED_CAP else "over the cap"


def _sd(values: Floats) -> Floats:
    # Equal values must give 0 exactly; the mean of n equal floats can be off by one bit.
    return np.where(np.ptp(values, axis=-1) == 0, 0.0, values.std(-1, ddof=1))

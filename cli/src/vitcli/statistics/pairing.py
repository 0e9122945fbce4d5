"""Are results with equal seeds correlated? One correlation over all arms, and a test of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitcli.statistics.significance import Floats

LEVEL_OF_PAIRING = 0.02
"""Pairs are used if the correlation is significant at this level; a larger one lets the choice itself add to the error."""


@dataclass(frozen=True)
class SeedCorrelation:
    """The correlation of the arms' results with the baseline's results for the same seeds, in arrays of one shape.

    Args:
        mean: Mean over the arms of their correlations with the baseline; NaN where none is defined.
        p_value: Two-sided, of the hypothesis that the baseline's results are independent of all the arms'; 1 where undefined.
    """

    mean: Floats
    p_value: Floats

    @property
    def helps(self) -> NDArray[np.bool_]:
        """Whether the data show a correlation, so that pairs are to be compared."""
        return self.p_value <= LEVEL_OF_PAIRING


def seed_correlation(baseline: Floats, arms: Floats) -> SeedCorrelation:
    """Correlate all arms with the baseline at once.

    Each arm is standardised, and the mean of the arms, seed by seed, is correlated with the baseline. Given the arms, the
    t-test of that one correlation is exact whatever the arms have in common, for it uses only that the baseline's results
    are independent and normal.

    Args:
        baseline: (..., n), one result a seed.
        arms: (..., k, n), the results of the same seeds; NaN where an arm lacks one.
    """
    from scipy import special

    used = np.isfinite(arms)
    arms = _standardised(arms, used)
    baselines = _standardised(np.broadcast_to(baseline[..., None, :], arms.shape), used)
    defined = (arms**2).sum(-1) * (baselines**2).sum(-1) > 0
    each = np.where(defined, (arms * baselines).sum(-1), np.nan)
    count = defined.sum(-1)
    mean = np.nansum(each, -1) / np.where(count == 0, np.nan, count)

    used = used & defined[..., None]
    present = used.sum(-2)
    typical = np.where(present > 0, (arms * used).sum(-2) / np.maximum(present, 1), np.nan)
    seen = np.isfinite(typical)
    correlation = (_standardised(typical, seen) * _standardised(baseline, seen)).sum(-1)
    degrees = seen.sum(-1) - 2.0
    t = correlation * np.sqrt(np.maximum(degrees, 0) / np.maximum(1 - correlation**2, 1e-15))
    p_value = 2 * special.stdtr(np.maximum(degrees, 1), -np.abs(t))
    return SeedCorrelation(mean, np.where(degrees >= 1, p_value, 1.0))


def _standardised(values: Floats, used: NDArray[np.bool_]) -> Floats:
    """Return the used values of the last axis with mean 0 and length 1; zeros where they are all equal, or not used."""
    n = np.maximum(used.sum(-1, keepdims=True), 1)
    values = np.where(used, values, 0.0)
    centred = np.where(used, values - values.sum(-1, keepdims=True) / n, 0.0)
    length = np.sqrt((centred**2).sum(-1, keepdims=True))
    negligible = length <= 1e-12 * np.abs(values).max(-1, keepdims=True)
    return np.where(negligible, 0.0, centred / np.where(negligible, 1.0, length))

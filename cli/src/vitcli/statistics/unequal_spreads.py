"""The test of one mean against another where neither spreads nor numbers of seeds are equal."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vitcli.statistics.significance import Floats

DOUBT = 0.05
"""Each end of the range of variance ratios that is taken into account leaves out this much probability."""


@dataclass(frozen=True)
class Moments:
    """Means and sample variances of groups of seeds, in arrays that broadcast.

    Args:
        n: Number of seeds, at least 2.
        mean: Their mean.
        variance: Their sample variance.
    """

    n: Floats
    mean: Floats
    variance: Floats

    @classmethod
    def of(cls, values: Floats) -> "Moments":
        """Return the moments over the last axis; equal values have a variance of exactly 0."""
        variance = np.where(np.ptp(values, axis=-1) == 0, 0.0, values.var(-1, ddof=1))
        return cls(np.array(values.shape[-1], dtype=np.float64), values.mean(-1), variance)


@dataclass(frozen=True)
class MeanTests:
    """Tests of differences of means against zero, in arrays that broadcast.

    Args:
        difference: Arm - baseline.
        standard_error: Standard error of the difference; 0 where neither group has a spread.
        degrees: Degrees of freedom of its estimate.
        shared: Share of the squared standard error that comes from the baseline, which other comparisons have in common.
    """

    difference: Floats
    standard_error: Floats
    degrees: Floats
    shared: Floats

    @cached_property
    def p_values(self) -> Floats:
        """Two-sided; without any spread 1 for equal means, and NaN for others, because no test is defined."""
        from scipy import special

        flat = self.standard_error == 0
        t = np.abs(self.difference) / np.where(flat, 1.0, self.standard_error)
        return np.where(flat, np.where(self.difference == 0, 1.0, np.nan), 2 * special.stdtr(self.degrees, -t))


def welch(baseline: Moments, arms: Moments) -> MeanTests:
    """Compare each arm with the baseline by Welch's t-test with cautious degrees of freedom; see ``degrees_of_freedom``."""
    a, b = arms.variance / arms.n, baseline.variance / baseline.n
    total = a + b
    return MeanTests(
        difference=arms.mean - baseline.mean,
        standard_error=np.sqrt(total),
        degrees=degrees_of_freedom(a, b, arms.n, baseline.n),
        shared=np.where(total == 0, 0.0, b / np.where(total == 0, 1.0, total)),
    )


def paired(differences: Floats) -> MeanTests:
    """Test the mean of paired differences over the last axis, as Student does."""
    of = Moments.of(differences)
    return MeanTests(of.mean, np.sqrt(of.variance / of.n), of.n - 1, np.zeros_like(of.mean))


def degrees_of_freedom(a: Floats, b: Floats, n_a: Floats, n_b: Floats) -> Floats:
    """Satterthwaite's degrees of freedom at the least favourable ratio of the two true variances.

    Satterthwaite's number is exact for the true ratio of the variances. Taken at the estimated ratio it is too large exactly
    where the variance of the smaller group comes out too small by chance, and the test then exceeds its level. So the number
    is taken at both ends of the 90 % interval of the true ratio (by the F distribution), and the smaller one counts. It
    lies between the smaller group's degrees of freedom and the sum of both.

    Args:
        a: Estimated variance of the one mean.
        b: Estimated variance of the other mean.
        n_a: Number of seeds behind ``a``.
        n_b: Number of seeds behind ``b``.
    """
    from scipy import special

    least, most = (special.fdtri(n_a - 1, n_b - 1, chance) for chance in (DOUBT, 1 - DOUBT))
    return np.minimum(_satterthwaite(a, b * least, n_a, n_b), _satterthwaite(a, b * most, n_a, n_b))


def _satterthwaite(a: Floats, b: Floats, n_a: Floats, n_b: Floats) -> Floats:
    total = np.where(a + b == 0, 1.0, a + b)
    share = np.where(a + b == 0, 0.5, a / total)
    return 1 / (share**2 / (n_a - 1) + (1 - share) ** 2 / (n_b - 1))

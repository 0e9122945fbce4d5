"""From the values of each arm to estimates, comparisons with the baseline and verdicts, at any number of seeds, none included."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vitcli.statistics import significance
from vitcli.statistics.improvement import Improvement, improvement
from vitcli.statistics.significance import Floats, SeedsNeeded

Direction = Literal["max", "min"]
"""Whether a larger (``max``) or a smaller (``min``) value is better."""

Verdict = Literal["better", "worse", "no evidence", "not compared"]


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % t-interval over n seeds; None where n is too small for the number to exist.

    Args:
        n: Number of seeds.
        mean: Their mean; None for n = 0.
        sd: Sample standard deviation; None for n < 2.
        half_width: Half the width of the interval; None for n < 2.
    """

    n: int
    mean: float | None
    sd: float | None
    half_width: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end; None for n < 2."""
        if self.mean is None or self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width


@dataclass(frozen=True)
class Comparison:
    """One arm against the baseline, over the seeds that both have.

    Args:
        seeds: Those seeds.
        difference: Estimate of arm - baseline, in the metric's own unit and sign; without an interval where ``p_value`` is None.
        p_value: Two-sided p-value of the paired t-test; None where it is not defined (n < 2, or all differences equal and
            not zero).
        p_holm: The same, Holm-corrected over the compared arms.
        verdict: ``better`` or ``worse`` if ``p_holm`` is at most 5 %, ``no evidence`` if it is larger or not defined,
            ``not compared`` without two common seeds.
        seeds_needed: Number of seeds that would show a difference of the observed size.
        improvement: How often the arm beats the baseline; None without two common seeds.
    """

    seeds: tuple[int, ...]
    difference: Estimate
    p_value: float | None
    p_holm: float | None
    verdict: Verdict
    seeds_needed: SeedsNeeded
    improvement: Improvement | None


def estimate(values: Sequence[float] | Floats) -> Estimate:
    """Return mean, standard deviation and interval of one arm's values, which are one per seed."""
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        return Estimate(array.size, float(array[0]) if array.size else None, None, None)
    mean, sd, half_width = significance.mean_interval(array)
    return Estimate(array.size, float(mean), float(sd), float(half_width))


def compare(arms: Mapping[str, Mapping[int, float]], baseline: str, direction: Direction) -> dict[str, Comparison]:
    """Compare every arm with the baseline.

    Args:
        arms: Arm -> seed -> finite value; the baseline among them.
        baseline: Name of the baseline.
        direction: Whether larger (``max``) or smaller (``min``) is better.

    Returns:
        One comparison for every arm but the baseline, in the same order.
    """
    pairs = {name: (values, arms[baseline]) for name, values in arms.items() if name != baseline}
    return compare_pairs(pairs, direction)


def compare_pairs(
    pairs: Mapping[str, tuple[Mapping[int, float], Mapping[int, float]]], direction: Direction
) -> dict[str, Comparison]:
    """Compare the two sides of each pair, with Holm's correction over all of them.

    Args:
        pairs: Name -> (seed -> finite value of the arm, seed -> finite value of what it is compared with).
        direction: Whether larger (``max``) or smaller (``min``) is better.
    """
    found = {name: _unadjusted(arm, other, direction) for name, (arm, other) in pairs.items()}
    tested = [name for name, comparison in found.items() if comparison.p_value is not None]
    if tested:
        adjusted = significance.holm(np.array([found[name].p_value for name in tested], dtype=np.float64))
        for name, p_holm in zip(tested, adjusted, strict=True):
            mean, sd = found[name].difference.mean or 0.0, found[name].difference.sd or 0.0
            found[name] = replace(
                found[name],
                p_holm=float(p_holm),
                verdict=_verdict(mean, float(p_holm), direction),
                seeds_needed=significance.seeds_needed(mean, sd, len(tested)),
            )
    return found


def _verdict(difference: float, p_holm: float, direction: Direction) -> Verdict:
    if p_holm > significance.ALPHA:
        return "no evidence"
    return "better" if (difference > 0) == (direction == "max") else "worse"


def _unadjusted(arm: Mapping[int, float], baseline: Mapping[int, float], direction: Direction) -> Comparison:
    seeds = tuple(sorted(arm.keys() & baseline.keys()))
    differences = _differences([arm[seed] for seed in seeds], [baseline[seed] for seed in seeds])
    difference = estimate(differences)
    if difference.mean is None or difference.sd is None:
        return Comparison(seeds, difference, None, None, "not compared", "not defined", None)
    p_value = float(significance.t_test(differences))
    # Without a spread there is no test, and an interval of no width would claim the most where least is known.
    untested = replace(difference, half_width=None)
    return Comparison(
        seeds=seeds,
        difference=untested if math.isnan(p_value) else difference,
        p_value=None if math.isnan(p_value) else p_value,
        p_holm=None,
        verdict="no evidence",
        seeds_needed="not defined",
        improvement=improvement(differences if direction == "max" else -differences),
    )


def _differences(arm: Sequence[float], baseline: Sequence[float]) -> Floats:
    a, b = np.array(arm, dtype=np.float64), np.array(baseline, dtype=np.float64)
    difference = a - b
    if not difference.size:
        return difference
    # Metrics are float32 numbers: differences closer than its rounding are equal, or their spread would be rounding noise.
    noise = 4 * float(np.finfo(np.float32).eps) * float(np.abs(np.concatenate([a, b])).max())
    difference[np.abs(difference) <= noise] = 0.0
    return np.full_like(difference, difference[0]) if np.ptp(difference) <= noise else difference

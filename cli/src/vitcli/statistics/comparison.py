"""Estimates of one arm, and comparisons of two sides that share their seeds, at any number of seeds, none included."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vitcli.statistics import significance
from vitcli.statistics.improvement import Improvement, improvement
from vitcli.statistics.significance import Floats

Direction = Literal["max", "min"]
"""Whether a larger (``max``) or a smaller (``min``) value is better."""

BySeed = Mapping[int, float]
PairVerdict = Literal["better", "worse", "open", "not compared"]


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
    """One side of a pair against the other, over the seeds that both have.

    Args:
        seeds: Those seeds.
        difference: Estimate of arm - other, in the metric's own unit and sign; without an interval where ``p_value`` is None.
        p_value: Two-sided p-value of the paired t-test; None where it is not defined (n < 2, or all differences equal and
            not zero).
        p_holm: The same, Holm-corrected over all pairs.
        verdict: ``better`` or ``worse`` if ``p_holm`` is at most 5 %, ``open`` if it is larger or not defined,
            ``not compared`` without two common seeds.
        improvement: How often the arm beats the other side; None without two common seeds.
    """

    seeds: tuple[int, ...]
    difference: Estimate
    p_value: float | None
    p_holm: float | None
    verdict: PairVerdict
    improvement: Improvement | None


def estimate(values: Sequence[float] | Floats) -> Estimate:
    """Return mean, standard deviation and interval of one arm's values, which are one per seed."""
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        return Estimate(array.size, float(array[0]) if array.size else None, None, None)
    mean, sd, half_width = significance.mean_interval(array)
    return Estimate(array.size, float(mean), float(sd), float(half_width))


def compare_pairs(pairs: Mapping[str, tuple[BySeed, BySeed]], direction: Direction) -> dict[str, Comparison]:
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
            verdict = _verdict(found[name].difference.mean or 0.0, float(p_holm), direction)
            found[name] = replace(found[name], p_holm=float(p_holm), verdict=verdict)
    return found


def _verdict(difference: float, p_holm: float, direction: Direction) -> PairVerdict:
    if p_holm > significance.ALPHA:
        return "open"
    return "better" if (difference > 0) == (direction == "max") else "worse"


def paired_differences(arm: BySeed, other: BySeed) -> Floats:
    """Return arm - other for each seed that both have, in the seeds' order.

    Metrics are float32 numbers: differences closer than its rounding are equal, or their spread would be rounding noise.
    """
    seeds = sorted(arm.keys() & other.keys())
    a, b = (np.array([values[seed] for seed in seeds], dtype=np.float64) for values in (arm, other))
    difference = a - b
    if not difference.size:
        return difference
    noise = 4 * float(np.finfo(np.float32).eps) * float(np.abs(np.concatenate([a, b])).max())
    difference[np.abs(difference) <= noise] = 0.0
    return np.full_like(difference, difference[0]) if np.ptp(difference) <= noise else difference


def _unadjusted(arm: BySeed, other: BySeed, direction: Direction) -> Comparison:
    seeds = tuple(sorted(arm.keys() & other.keys()))
    differences = paired_differences(arm, other)
    difference = estimate(differences)
    if difference.mean is None or difference.sd is None:
        return Comparison(seeds, difference, None, None, "not compared", None)
    p_value = float(significance.t_test(differences))
    # Without a spread there is no test, and an interval of no width would claim the most where least is known.
    untested = replace(difference, half_width=None)
    return Comparison(
        seeds=seeds,
        difference=untested if math.isnan(p_value) else difference,
        p_value=None if math.isnan(p_value) else p_value,
        p_holm=None,
        verdict="open",
        improvement=improvement(differences if direction == "max" else -differences),
    )

"""How many seeds an answer may need, and how to divide trials between the baseline and the arms."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vitcli.statistics.against_baseline import Comparisons, Difference
from vitcli.statistics.joint import level_of_each
from vitcli.statistics.significance import ALPHA, POWER, SEED_CAP, Floats, SeedsNeeded
from vitcli.statistics.unequal_spreads import degrees_of_freedom

CONFIDENCE = 0.80
NOISY_BASELINE = 1.5
FEWEST, MOST_RATIO, MOST_COMPARISONS = 3, 3, 50
"""Allocations whose error was simulated: seeds of an arm, the baseline's seeds over them, and comparisons."""


@dataclass(frozen=True)
class SeedRange:
    """Seeds of an arm that would show the true difference in 80 % of repetitions, with the baseline's in proportion.

    Args:
        low: If the true difference is at the far end of its 80 % interval, in standard errors.
        high: If it is at the near end; ``over the cap`` if that end is 0 or beyond.
    """

    low: SeedsNeeded
    high: SeedsNeeded


@dataclass(frozen=True)
class Allocation:
    """Seeds of the baseline and of every other arm."""

    baseline: int
    arms: int

    def trials(self, comparisons: int) -> int:
        """Number of trials with so many arms besides the baseline."""
        return self.baseline + comparisons * self.arms


def seeds_range(difference: Difference, comparisons: Comparisons) -> SeedRange:
    """Range of the number of seeds that a difference needs, from the uncertainty of its size and spread together.

    The ratio of the true difference to its true standard error has exact confidence limits by the non-central t distribution.
    Five seeds leave them far apart: a range of 5 to more than 1000 says that nothing can be planned yet.
    """
    if not difference.value or not difference.standard_error or not difference.degrees or not comparisons.level_of_each:
        return SeedRange("not defined", "not defined")
    t, degrees, n = abs(difference.value) / difference.standard_error, difference.degrees, len(difference.arm_seeds)
    ends = [_shift(t, degrees, chance) for chance in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2)]
    low, high = (_seeds(shift / np.sqrt(n), degrees / n, comparisons.level_of_each) for shift in ends)
    return SeedRange(low, high)


def allocations(comparisons: int, trials: int, baseline_spread: float = NOISY_BASELINE) -> tuple[Allocation, ...]:
    """Return the allocations of at most so many trials whose error was simulated, the narrowest intervals first.

    Args:
        comparisons: Number of arms besides the baseline.
        trials: Number of trials of all arms together.
        baseline_spread: Standard deviation of the baseline over that of the arms. Unless it is known, the baseline is taken to
            be the noisier one: its noise is in every comparison, so that this is the case to guard against.
    """
    found = [one for one in _candidates(comparisons, trials) if warning(one, comparisons) is None]
    return tuple(sorted(found, key=lambda one: interval_width(one, comparisons, baseline_spread)))


def interval_width(allocation: Allocation, comparisons: int, baseline_spread: float = 1.0) -> float:
    """Half the width of the simultaneous intervals, in standard deviations of the arms, which all vary equally."""
    from scipy import special

    n = np.array([allocation.arms, allocation.baseline], dtype=np.float64)
    a, b = np.array([1, baseline_spread**2]) / n
    degrees = degrees_of_freedom(a, b, *n)
    each = level_of_each(np.full(comparisons, b / (a + b)), ALPHA)
    return float(special.stdtrit(degrees, 1 - each / 2) * np.sqrt(a + b))


def warning(allocation: Allocation, comparisons: int) -> str | None:
    """Say why the error of an allocation is not known to be at most 5 %; None if it was simulated."""
    if allocation.arms < FEWEST:
        return f"fewer than {FEWEST} seeds of an arm say too little about its spread; take {FEWEST} or more."
    if not allocation.arms <= allocation.baseline <= MOST_RATIO * allocation.arms:
        return (
            f"{allocation.baseline} seeds of the baseline and {allocation.arms} of every other arm: the error is known "
            f"for 1 to {MOST_RATIO} times as many of the baseline; take {allocation.arms} to {MOST_RATIO * allocation.arms}."
        )
    if comparisons > MOST_COMPARISONS:
        return f"{comparisons} comparisons: the error is known for up to {MOST_COMPARISONS}; split the ablation."
    return None


def _candidates(comparisons: int, trials: int) -> Iterator[Allocation]:
    for arms in range(FEWEST, trials // (comparisons + 1) + 1):
        yield Allocation(min(trials - comparisons * arms, MOST_RATIO * arms), arms)


def _shift(t: float, degrees: float, chance: float) -> float:
    """Return the non-centrality at which a t this large or larger has this chance; at least 0."""
    from scipy import special

    low, high = 0.0, 2 * t + 40
    for _ in range(60):
        middle = (low + high) / 2
        below = 1 - special.nctdtr(degrees, middle, t) < chance
        low, high = (middle, high) if below else (low, middle)
    return low


def _seeds(effect: float, degrees_a_seed: float, level: float) -> SeedsNeeded:
    """Return the smallest number of seeds whose power is enough for an effect in standard errors of one seed."""
    seeds = np.arange(2.0, SEED_CAP + 1)
    enough = _power(effect * np.sqrt(seeds), np.maximum(degrees_a_seed * seeds, 1.0), level) >= POWER
    return int(seeds[np.argmax(enough)]) if enough.any() else "over the cap"


def _power(shift: Floats, degrees: Floats, level: float) -> Floats:
    from scipy import special

    seen = 1 - special.nctdtr(degrees, shift, special.stdtrit(degrees, 1 - level / 2))
    # The non-central t is not computable for huge shifts, where the power is 1.
    return np.where(np.isfinite(seen), seen, 1.0)

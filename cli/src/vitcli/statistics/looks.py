"""Looking at an ablation before all its seeds are there: declared looks share one error, undeclared ones add to it."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vitcli.statistics.against_baseline import Comparisons, Difference, Pairing, compare_with_baseline
from vitcli.statistics.comparison import BySeed, Direction
from vitcli.statistics.significance import ALPHA


@dataclass(frozen=True)
class Look:
    """Seeds that a look uses: 0 .. ``baseline`` - 1 of the baseline and 0 .. ``arms`` - 1 of every other arm."""

    baseline: int
    arms: int


@dataclass(frozen=True)
class LookResults:
    """What the declared looks have found so far.

    Args:
        comparisons: At each look that was possible.
        decided: Arm -> number of the look (from 0) at which it got its verdict, which it keeps.
    """

    comparisons: tuple[Comparisons, ...]
    decided: dict[str, int]

    @property
    def differences(self) -> dict[str, Difference]:
        """Arm -> its comparison at the look that decided it, else at the last one."""
        last = self.comparisons[-1].differences if self.comparisons else {}
        return {name: self.comparisons[self.decided.get(name, -1)].differences[name] for name in last}

    @property
    def open(self) -> tuple[str, ...]:
        """Arms that the next look needs further seeds of."""
        return tuple(name for name in self.differences if name not in self.decided)


def declared_looks(arms: Sequence[int], baseline: int) -> tuple[Look, ...]:
    """Return the looks of an ablation; at each of them the baseline has its part of all its seeds, rounded up.

    Args:
        arms: Seeds of an arm at each look, increasing.
        baseline: Seeds of the baseline at the last look.
    """
    return tuple(Look(-(-n * baseline // arms[-1]), n) for n in arms)


def look_levels(seeds: Sequence[int], level: float = ALPHA) -> tuple[float, ...]:
    """Share the level: each look gets the part of it that its new seeds are of all seeds, 5 of 20 a quarter.

    The shares add up to the level, so the error over all looks is at most the level, whatever looks have in common.

    Args:
        seeds: Seeds of each arm at each look, increasing.
        level: Over all looks.

    Raises:
        ValueError: The numbers do not increase from at least 2.
    """
    if not seeds or seeds[0] < 2 or any(after <= before for before, after in itertools.pairwise(seeds)):
        raise ValueError(f"look_levels: looks must be increasing numbers of seeds from 2 upward, got {list(seeds)}.")
    new = [seeds[0], *(after - before for before, after in itertools.pairwise(seeds))]
    return tuple(level * part / seeds[-1] for part in new)


def total_error(levels: Iterable[float]) -> float:
    """Bound the chance of one or more false verdicts at any of several looks, each at a level of its own."""
    return min(1.0, math.fsum(levels))


def compare_at_looks(
    baseline: BySeed,
    arms: Mapping[str, BySeed],
    looks: Sequence[Look],
    direction: Direction,
    pairing: Pairing = "estimated",
    level: float = ALPHA,
    margin: float | None = None,
) -> LookResults:
    """Compare at every declared look whose seeds are there; an arm that is decided needs no seeds for later looks.

    A decided arm stays in the later comparisons with the seeds that decided it, so that all intervals hold jointly; its
    verdict is the one of its own look. What is found depends on the looks alone, not on the order in which trials end.

    Args:
        baseline: Seed -> value; NaN for a trial that failed, nothing for one that has not ended.
        arms: Arm -> the same.
        looks: Declared before the first trial.
        direction: As in ``compare_with_baseline``.
        pairing: Likewise.
        level: Over all looks.
        margin: As in ``compare_with_baseline``.
    """
    levels = look_levels([look.arms for look in looks], level)
    found: list[Comparisons] = []
    decided: dict[str, int] = {}
    for number, look in enumerate(looks):
        needed = {name: looks[decided.get(name, number)].arms for name in arms}
        if not _has(baseline, look.baseline) or not all(_has(arm, needed[name]) for name, arm in arms.items()):
            break
        seen = {name: _first(arm, needed[name]) for name, arm in arms.items()}
        now = compare_with_baseline(_first(baseline, look.baseline), seen, direction, pairing, levels[number], margin)
        decided.update((name, number) for name in arms if name not in decided and name not in now.open)
        found.append(now)
        if len(decided) == len(arms):
            break
    return LookResults(tuple(found), decided)


def _has(values: BySeed, n: int) -> bool:
    return all(seed in values for seed in range(n))


def _first(values: BySeed, n: int) -> dict[int, float]:
    """Return the finite values of the first n seeds."""
    return {seed: values[seed] for seed in range(n) if math.isfinite(values[seed])}

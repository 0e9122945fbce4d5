"""What the levels of each factor do, from arms that differ in that factor alone."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vitcli.statistics.comparison import Estimate, estimate

MOST_LINES = 6
"""With more combinations of the other factors than this, their average is shown instead of each."""


@dataclass(frozen=True)
class Line:
    """Results along the levels of one factor, with the other factors held.

    Args:
        name: The levels of the other factors; empty if there is no other factor, or if the line is an average over them.
        levels: Level -> result, for the levels that were run.
    """

    name: str
    levels: dict[str, Estimate]


@dataclass(frozen=True)
class Effect:
    """One factor with lines along its levels.

    Args:
        factor: Its name.
        held: What is the same along a line: the names of the other factors, or what was averaged over them.
        levels: In the arms' order.
        lines: At least one.
    """

    factor: str
    held: str
    levels: tuple[str, ...]
    lines: tuple[Line, ...]


def effects(values: Mapping[str, Mapping[int, float]], levels: Mapping[str, Mapping[str, str]]) -> list[Effect]:
    """Return one effect for each factor that has at least two levels with a result, whatever the design.

    Args:
        values: Arm -> seed -> value, in the arms' order.
        levels: Arm -> factor -> level; arms that were not made from factors are absent.
    """
    factors = list(dict.fromkeys(factor for of in levels.values() for factor in of))
    found = [_effect(values, levels, factor, factors) for factor in factors]
    return [effect for effect in found if effect.lines]


def _effect(
    values: Mapping[str, Mapping[int, float]], levels: Mapping[str, Mapping[str, str]], factor: str, factors: list[str]
) -> Effect:
    lines: dict[tuple[str, ...], dict[str, Mapping[int, float]]] = defaultdict(dict)
    seen: dict[str, None] = {}
    for arm, by_seed in values.items():
        of = levels.get(arm, {})
        if factor in of and by_seed:
            seen[of[factor]] = None
            lines[tuple(level for other, level in of.items() if other != factor)][of[factor]] = by_seed
    whole = {others: line for others, line in lines.items() if len(line) > 1}
    if len(whole) > MOST_LINES and (average := _average(list(whole.values()), list(seen))):
        held, averaged = average
        return Effect(factor, held, tuple(seen), (averaged,))
    each = tuple(
        Line(", ".join(others), {level: estimate(list(line[level].values())) for level in seen if level in line})
        for others, line in whole.items()
    )
    return Effect(factor, ", ".join(name for name in factors if name != factor), tuple(seen), each)


def _average(lines: list[dict[str, Mapping[int, float]]], levels: list[str]) -> tuple[str, Line] | None:
    """Return the marginal means: the average over the lines that have every level, seed by seed, then over the seeds."""
    complete = [line for line in lines if line.keys() == set(levels)]
    if not complete:
        return None
    # Only seeds that all these arms have: an average over other arms for each seed would compare different things.
    seeds = sorted(set.intersection(*[set(values) for line in complete for values in line.values()]))
    if not seeds:
        return None
    found = {
        level: estimate([float(np.mean([line[level][seed] for line in complete])) for seed in seeds])
        for level in levels
    }
    return f"average over {len(complete)} combinations of the others", Line("", found)

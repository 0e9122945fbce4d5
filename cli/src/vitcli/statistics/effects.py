"""What the levels of each factor do: results of arms that differ in that factor alone."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from vitcli.records.ablation import Ablation
from vitcli.statistics.comparison import Estimate, estimate

MOST_LINES = 6
"""With more combinations of the other factors, their average is shown instead of each."""


@dataclass(frozen=True)
class Line:
    """Results along the levels of one factor, everything else held.

    Args:
        name: The levels of the other factors; empty if there is no other factor, or if it is their average.
        levels: Level -> result; those that were run.
    """

    name: str
    levels: dict[str, Estimate]


@dataclass(frozen=True)
class Effect:
    """One factor and lines along its levels.

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


def effects(ablation: Ablation) -> list[Effect]:
    """One effect per factor that has two levels or more with a result, whatever the design."""
    factors = dict.fromkeys(factor for levels in ablation.levels.values() for factor in levels)
    found = [_effect(ablation, factor, list(factors)) for factor in factors]
    return [effect for effect in found if effect.lines]


def _effect(ablation: Ablation, factor: str, factors: list[str]) -> Effect:
    lines: dict[tuple[str, ...], dict[str, dict[int, float]]] = defaultdict(dict)
    levels: dict[str, None] = {}
    for arm in ablation.arms:
        of = ablation.levels.get(arm.name, {})
        values = arm.values(ablation.metric.name)
        if factor in of and values:
            levels[of[factor]] = None
            lines[tuple(level for other, level in of.items() if other != factor)][of[factor]] = values
    whole = {others: line for others, line in lines.items() if len(line) > 1}
    if len(whole) > MOST_LINES and (average := _average(list(whole.values()), list(levels))):
        held, averaged = average
        return Effect(factor, held, tuple(levels), (averaged,))
    drawn = tuple(
        Line(", ".join(others), {level: estimate(list(line[level].values())) for level in levels if level in line})
        for others, line in whole.items()
    )
    return Effect(factor, ", ".join(name for name in factors if name != factor), tuple(levels), drawn)


def _average(lines: list[dict[str, dict[int, float]]], levels: list[str]) -> tuple[str, Line] | None:
    """Marginal means: for each seed the average over the lines that have every level, then mean and interval over seeds."""
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

"""The comparison of an ablation's arms with the baseline as the ablation declared it, and which looks came before."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vitcli.records.ablation import Ablation
from vitcli.records.arm import Arm
from vitcli.statistics.against_baseline import Comparisons, Difference, compare_with_baseline
from vitcli.statistics.comparison import BySeed
from vitcli.statistics.looks import Look, compare_at_looks, declared_looks

UNANSWERED = ("open", "not compared")
_NO_DIFFERENCE = Difference((), ())


@dataclass(frozen=True)
class Verdicts:
    """What the comparison says, and when it was looked at.

    Args:
        latest: All comparisons as of the last look; None before the first declared look.
        differences: Arm -> its comparison, for every arm but the baseline: at the declared look that decided it, else the latest.
        declared: The declared looks; empty without them.
        made: Number of the declared looks that were made.
        undeclared: Number of reports with other seeds so far, this one included, where looks were not declared. With declared
            looks: number of reports that were made before the looks were declared as they are now.
        exploratory: Arms whose verdict is new since the first of several undeclared looks.
    """

    latest: Comparisons | None
    differences: Mapping[str, Difference]
    declared: tuple[Look, ...] = ()
    made: int = 0
    undeclared: int = 1
    exploratory: frozenset[str] = frozenset()


def verdicts(ablation: Ablation) -> Verdicts:
    """Compare at the declared looks, or else all results that are there."""
    return _at_declared_looks(ablation) if ablation.looks else _of_all_results(ablation)


def _at_declared_looks(ablation: Ablation) -> Verdicts:
    looks = declared_looks(ablation.looks, len(ablation.seeds_of(ablation.baseline)))
    values = {arm.name: _ended(arm, ablation.metric.name) for arm in ablation.arms}
    baseline = values.pop(ablation.baseline)
    found = compare_at_looks(
        baseline, values, looks, ablation.metric.direction, ablation.pairing, margin=ablation.margin
    )
    latest = found.comparisons[-1] if found.comparisons else None
    differences = {name: found.differences.get(name, _NO_DIFFERENCE) for name in values}
    before = _distinct(
        [report.seeds for report in ablation.reports if report.looks != ablation.looks], ablation.baseline
    )
    return Verdicts(latest, differences, looks, len(found.comparisons), len(before))


def _ended(arm: Arm, metric: str) -> dict[int, float]:
    """Return seed -> value, NaN for a trial that ended without one."""
    without = ("failed", "not finite", "no metric")
    never = {trial.seed: math.nan for trial in arm.trials if trial.status in without}
    return {**never, **{trial.seed: trial.metrics.get(metric, math.nan) for trial in arm.done}}


def _of_all_results(ablation: Ablation) -> Verdicts:
    values = {arm.name: arm.values(ablation.metric.name) for arm in ablation.arms}
    now = _compared(ablation, values)
    looks = _seeds_looked_at(ablation)
    if len(looks) < 2:
        return Verdicts(now, now.differences)
    first = _compared(ablation, {name: _first(of, looks[0].get(name, 0)) for name, of in values.items()})
    new = [
        name for name, one in now.differences.items()
        if one.verdict not in UNANSWERED and one.verdict != first.differences[name].verdict
    ]  # fmt: skip
    return Verdicts(now, now.differences, undeclared=len(looks), exploratory=frozenset(new))


def _compared(ablation: Ablation, values: Mapping[str, BySeed]) -> Comparisons:
    arms = {name: of for name, of in values.items() if name != ablation.baseline}
    return compare_with_baseline(
        values[ablation.baseline], arms, ablation.metric.direction, ablation.pairing, margin=ablation.margin
    )


def _seeds_looked_at(ablation: Ablation) -> list[Mapping[str, int]]:
    """Return arm -> number of seeds at each look so far, this one included."""
    now = {arm.name: len(arm.done) for arm in ablation.arms}
    return _distinct([*(report.seeds for report in ablation.reports), now], ablation.baseline)


def _distinct(reports: Iterable[Mapping[str, int]], baseline: str) -> list[Mapping[str, int]]:
    """Return the looks among some reports: no look twice, and none that could test nothing."""
    looks: list[Mapping[str, int]] = []
    for seeds in reports:
        several = [name for name, count in seeds.items() if count > 1]
        if baseline in several and len(several) > 1 and dict(seeds) not in looks:
            looks.append(dict(seeds))
    return looks


def _first(values: BySeed, n: int) -> dict[int, float]:
    return {seed: values[seed] for seed in sorted(values)[:n]}

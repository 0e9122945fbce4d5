"""The same arms in two directories: paired by seed, arm by arm."""

from dataclasses import dataclass

from vitcli.records.ablation import Ablation, Arm, Metric
from vitcli.records.json_records import ReportError
from vitcli.report.mixed_conditions import NOT_RECORDED, aspects, listed
from vitcli.statistics.comparison import Comparison, Estimate, compare_pairs, estimate


@dataclass(frozen=True)
class Pair:
    """One arm in both directories.

    Args:
        arm: Its name.
        first, second: The metric over the arm's done trials in each.
        comparison: The second against the first, over the seeds that both have.
        ids: Hash of the arm's config in each.
    """

    arm: str
    first: Estimate
    second: Estimate
    comparison: Comparison
    ids: tuple[str, str]

    @property
    def same_config(self) -> bool:
        """Whether both directories hold the very same arm."""
        return self.ids[0] == self.ids[1]

    @property
    def identical(self) -> bool:
        """Whether every shared seed gave the same number."""
        return (
            bool(self.comparison.seeds) and self.comparison.difference.mean == 0 and not self.comparison.difference.sd
        )


@dataclass(frozen=True)
class Across:
    """Two directories arm by arm.

    Args:
        directories: As they were given.
        metric: What is compared, the same in both.
        comparisons: Number of arms in Holm's correction.
        pairs: The common arms, in the first directory's order.
        only: Arms that only the first, and only the second, directory has.
        changes: What was the case in each: (what, in the first, in the second), where the two differ.
    """

    directories: tuple[str, str]
    metric: Metric
    comparisons: int
    pairs: tuple[Pair, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    changes: tuple[tuple[str, str, str], ...]


def across(first: Ablation, second: Ablation) -> Across:
    """Compare the arms that both ablations have by name.

    Raises:
        ReportError: There is no common arm, or the metrics differ.
    """
    places = f"{first.directory} and {second.directory}"
    if first.metric != second.metric:
        said = [f"{ablation.metric.name} ({ablation.metric.direction})" for ablation in (first, second)]
        raise ReportError(f"{places}: their metrics differ, {said[0]} and {said[1]}; compare ablations of one metric.")
    others = {arm.name: arm for arm in second.arms}
    common = [arm for arm in first.arms if arm.name in others]
    if not common:
        raise ReportError(
            f"{places}: they have no arm in common ({_names(first)}; {_names(second)}); arms are matched by name."
        )
    metric = first.metric.name
    values = {arm.name: (others[arm.name].values(metric), arm.values(metric)) for arm in common}
    compared = compare_pairs(values, first.metric.direction)
    return Across(
        directories=(str(first.directory), str(second.directory)),
        metric=first.metric,
        comparisons=sum(comparison.p_holm is not None for comparison in compared.values()),
        pairs=tuple(_pair(arm, others[arm.name], metric, compared[arm.name]) for arm in common),
        only=(_missing(first, second), _missing(second, first)),
        changes=tuple(_changes(first, second)),
    )


def _pair(first: Arm, second: Arm, metric: str, comparison: Comparison) -> Pair:
    estimates = [estimate(list(arm.values(metric).values())) for arm in (first, second)]
    return Pair(first.name, estimates[0], estimates[1], comparison, (first.id, second.id))


def _names(ablation: Ablation) -> str:
    names = [arm.name for arm in ablation.arms]
    return listed(names) if len(names) <= 5 else f"{', '.join(names[:5])}, ..."


def _missing(ablation: Ablation, other: Ablation) -> tuple[str, ...]:
    names = {arm.name for arm in other.arms}
    return tuple(arm.name for arm in ablation.arms if arm.name not in names)


def _changes(first: Ablation, second: Ablation) -> list[tuple[str, str, str]]:
    sides = [_conditions(first), _conditions(second)]
    names = dict.fromkeys(name for side in sides for name in side)
    rows = [(name, sides[0].get(name, NOT_RECORDED), sides[1].get(name, NOT_RECORDED)) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _conditions(ablation: Ablation) -> dict[str, str]:
    """What the done trials say of code, data and device; what they do not say, the ablation's record does."""
    found: dict[str, dict[str, None]] = {}
    for trial in (trial for arm in ablation.arms for trial in arm.done if trial.provenance):
        assert trial.provenance is not None
        for name, value in aspects(trial.provenance).items():
            found.setdefault(name, {})[value] = None
    told = {name: " / ".join(values) for name, values in found.items()}
    recorded = {**ablation.versions, **{f"machine: {name}": value for name, value in ablation.machine.items()}}
    threads = sorted({trial.threads for arm in ablation.arms for trial in arm.done if trial.threads})
    return {
        **{name: str(value) for name, value in recorded.items()},
        **told,
        "threads per trial": ", ".join(map(str, threads)),
    }

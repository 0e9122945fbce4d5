"""The same arms in two directories: compared seed by seed, and what the comparison says in tables and CSV."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vitcli.records.ablation import Ablation, Metric
from vitcli.records.arm import Arm
from vitcli.records.json_files import RecordError
from vitcli.report import numbers
from vitcli.report.blocks import Block, Heading, Paragraph, Table
from vitcli.report.columns import CSV, RESULTS, Column, columns_of, ends, in_full, make_table
from vitcli.report.formats.csv import lines
from vitcli.report.mixed_conditions import NOT_RECORDED, aspects, join_words
from vitcli.statistics.comparison import Comparison, Estimate, compare_pairs, estimate


@dataclass(frozen=True)
class Pair:
    """One arm in both directories.

    Args:
        arm: Its name.
        first, second: The metric over the arm's done trials in each directory.
        comparison: The second against the first, over the seeds that both have.
        ids: Hash of the arm's config in each directory.
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

    @property
    def outcome(self) -> str:
        """``identical``, or the comparison's verdict."""
        return "identical" if self.identical else self.comparison.verdict


@dataclass(frozen=True)
class TwoRuns:
    """Two directories arm by arm.

    Args:
        directories: As they were given.
        metric: What is compared, the same in both.
        comparisons: Number of arms in Holm's correction.
        pairs: The common arms, in the first directory's order.
        only: The arms that only the first directory has, and those that only the second has.
        changes: What differs between the two: (what, in the first, in the second).
    """

    directories: tuple[str, str]
    metric: Metric
    comparisons: int
    pairs: tuple[Pair, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    changes: tuple[tuple[str, str, str], ...]


def compare_runs(first: Ablation, second: Ablation) -> TwoRuns:
    """Compare the arms that both ablations have by name.

    Raises:
        RecordError: There is no common arm, or the metrics differ.
    """
    directories = f"{first.directory} and {second.directory}"
    if first.metric != second.metric:
        one, other = (f"{ablation.metric.name} ({ablation.metric.direction})" for ablation in (first, second))
        raise RecordError(f"{directories}: their metrics differ, {one} and {other}; compare ablations of one metric.")
    others = {arm.name: arm for arm in second.arms}
    common = [arm for arm in first.arms if arm.name in others]
    if not common:
        raise RecordError(
            f"{directories}: they have no arm in common ({_names(first)}; {_names(second)}); arms are matched by name."
        )
    metric = first.metric.name
    values = {arm.name: (others[arm.name].values(metric), arm.values(metric)) for arm in common}
    compared = compare_pairs(values, first.metric.direction)
    return TwoRuns(
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
    return join_words(names) if len(names) <= 5 else f"{', '.join(names[:5])}, ..."


def _missing(ablation: Ablation, other: Ablation) -> tuple[str, ...]:
    names = {arm.name for arm in other.arms}
    return tuple(arm.name for arm in ablation.arms if arm.name not in names)


def _changes(first: Ablation, second: Ablation) -> list[tuple[str, str, str]]:
    sides = [_conditions(first), _conditions(second)]
    names = dict.fromkeys(name for side in sides for name in side)
    rows = [(name, sides[0].get(name, NOT_RECORDED), sides[1].get(name, NOT_RECORDED)) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _conditions(ablation: Ablation) -> dict[str, str]:
    """Return code, data and device as the done trials recorded them, and from the ablation's record what they lack."""
    found: dict[str, dict[str, None]] = {}
    for trial in (trial for arm in ablation.arms for trial in arm.done if trial.provenance):
        assert trial.provenance is not None
        for name, value in aspects(trial.provenance).items():
            found.setdefault(name, {})[value] = None
    made_by = {name: " / ".join(values) for name, values in found.items()}
    recorded = {**ablation.versions, **{f"machine: {name}": value for name, value in ablation.machine.items()}}
    threads = sorted({trial.threads for arm in ablation.arms for trial in arm.done if trial.threads})
    return {
        **{name: str(value) for name, value in recorded.items()},
        **made_by,
        "threads per trial": ", ".join(map(str, threads)),
    }


def two_runs_content(found: TwoRuns) -> list[Block]:
    """Return the table of arms, what it means, and under which conditions the two directories differ."""
    first, second = found.directories
    blocks: list[Block] = [
        Heading(f"{second} against {first}", 1),
        _arms_table(found),
        Paragraph(_meaning(found)),
    ]
    changed = [pair.arm for pair in found.pairs if not pair.same_config]
    if changed:
        blocks.append(
            Paragraph(
                f"Config ids differ for {join_words(changed)}: these arms have the same name but different configurations.",
                "Not the same config.",
            )
        )
    for directory, names in zip(found.directories, found.only, strict=True):
        if names:
            blocks.append(Paragraph(f"Only in {directory}: {join_words(names)}."))
    return [*blocks, _conditions_table(found)]


def _arms_table(found: TwoRuns) -> Table:
    """Return one line per common arm."""
    widths = [width for pair in found.pairs for width in (pair.first.half_width, pair.second.half_width) if width]
    columns = columns_of(COLUMNS, RESULTS)
    return make_table("arms in both", columns, found, found.pairs, numbers.decimals_of(widths), {})


def _conditions_table(found: TwoRuns) -> Block:
    """Return what differs in code, data, device and versions."""
    if not found.changes:
        return Paragraph("No difference was recorded in code, packages, data or machine.")
    header = ("differs", "first", "second")
    return Table("conditions that differ", header, frozenset(header), found.changes)


def _meaning(found: TwoRuns) -> str:
    better = "larger" if found.metric.direction == "max" else "smaller"
    compared = f"{found.comparisons} comparison" + ("" if found.comparisons == 1 else "s")
    return (
        f"{found.metric.name}: first is {found.directories[0]}, second is {found.directories[1]}; {better} is better. "
        "The columns first and second are means over all seeds of that directory. The difference is second - first over the "
        f"n seeds that both have, ± its 95 % t-interval; p is from the paired t-test, corrected by Holm over {compared}. "
        "P(better) is the share of the shared seeds in which the second is better (a tie counts half); identical means that "
        "every shared seed gave the same number in both."
    )


def two_runs_csv(found: TwoRuns) -> str:
    """Return CSV: one line per common arm, with every digit, and empty cells where a number does not exist."""
    return lines(COLUMNS, found, found.pairs)


def _share(name: str) -> Callable[[TwoRuns, Pair], Any]:
    def value(_: TwoRuns, pair: Pair) -> Any:
        return None if pair.comparison.improvement is None else getattr(pair.comparison.improvement, name)

    return value


def _changes_text(found: TwoRuns) -> str:
    return "; ".join(f"{name}: {first} / {second}" for name, first, second in found.changes)


COLUMNS = (
    Column("arm", lambda _, pair: pair.arm, (RESULTS, CSV), "arm", is_words=True),
    Column("metric", lambda found, _: found.metric.name),
    Column("n", lambda _, pair: pair.comparison.difference.n, (RESULTS,), "n"),
    Column("first_n", lambda _, pair: pair.first.n),
    Column("first_mean", lambda _, pair: pair.first.mean, (RESULTS, CSV), "first", numbers.value),
    Column("first_sd", lambda _, pair: pair.first.sd),
    Column("second_n", lambda _, pair: pair.second.n),
    Column("second_mean", lambda _, pair: pair.second.mean, (RESULTS, CSV), "second", numbers.value),
    Column("second_sd", lambda _, pair: pair.second.sd),
    Column("paired_n", lambda _, pair: pair.comparison.difference.n),
    Column("against", lambda _, pair: pair.comparison.difference, (RESULTS,), "difference", numbers.signed_with_half_width),
    Column("difference", lambda _, pair: pair.comparison.difference.mean),
    Column("difference_sd", lambda _, pair: pair.comparison.difference.sd),
    Column("difference_low", lambda _, pair: ends(pair.comparison.difference.interval)[0]),
    Column("difference_high", lambda _, pair: ends(pair.comparison.difference.interval)[1]),
    Column("p", lambda _, pair: pair.comparison.p_value),
    Column("p_holm", lambda _, pair: pair.comparison.p_holm, (RESULTS, CSV), "p (Holm)", in_full(numbers.p_value)),
    Column("wins_of_n", lambda _, pair: pair.comparison.improvement, (RESULTS,), "P(better)", in_full(numbers.improvement)),
    Column("improvement", _share("share")),
    Column("improvement_low", _share("low")),
    Column("improvement_high", _share("high")),
    Column("verdict", lambda _, pair: pair.comparison.verdict),
    Column("outcome", lambda _, pair: pair.outcome, (RESULTS,), "verdict", is_words=True),
    Column("first_id", lambda _, pair: pair.ids[0]),
    Column("second_id", lambda _, pair: pair.ids[1]),
    Column("changes", lambda found, _: _changes_text(found)),
)  # fmt: skip

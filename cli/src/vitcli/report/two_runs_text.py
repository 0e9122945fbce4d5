"""What a comparison of two directories says: blocks for Markdown and the terminal, and CSV with every digit."""

import csv
import io

from vitcli.report import numbers
from vitcli.report.blocks import Block, Heading, Paragraph, Table
from vitcli.report.mixed_conditions import listed
from vitcli.report.two_runs import Across, Pair


def across_content(found: Across) -> list[Block]:
    """The table of arms, what it means, and under which conditions the two directories differ."""
    first, second = found.directories
    blocks: list[Block] = [
        Heading(f"{second} against {first}", 1),
        arms_table(found),
        Paragraph(_meaning(found)),
    ]
    changed = [pair.arm for pair in found.pairs if not pair.same_config]
    if changed:
        blocks.append(
            Paragraph(
                f"Config ids differ for {listed(changed)}: arms of the same name, but not of the same configuration.",
                "Not the same config.",
            )
        )
    for directory, names in zip(found.directories, found.only, strict=True):
        if names:
            blocks.append(Paragraph(f"Only in {directory}: {listed(names)}."))
    return [*blocks, conditions_table(found)]


def arms_table(found: Across) -> Table:
    """One line per common arm."""
    widths = [width for pair in found.pairs for width in (pair.first.half_width, pair.second.half_width) if width]
    places = numbers.decimals_of(widths)
    header = ("arm", "n", "first", "second", "difference", "p (Holm)", "P(better)", "verdict")
    return Table(
        "arms in both", header, frozenset({"arm", "verdict"}), tuple(_row(pair, places) for pair in found.pairs)
    )


def conditions_table(found: Across) -> Block:
    """What differs in code, data, device and versions."""
    if not found.changes:
        return Paragraph("Nothing that was recorded differs in code, packages, data or machine.")
    header = ("differs", "first", "second")
    return Table("conditions that differ", header, frozenset(header), found.changes)


def _row(pair: Pair, places: int) -> tuple[str, ...]:
    comparison = pair.comparison
    return (
        pair.arm,
        str(comparison.difference.n),
        numbers.value(pair.first.mean, places),
        numbers.value(pair.second.mean, places),
        numbers.signed_with_half_width(comparison.difference, places),
        numbers.p_value(comparison.p_holm),
        numbers.improvement(comparison.improvement),
        "identical" if pair.identical else comparison.verdict,
    )


def _meaning(found: Across) -> str:
    better = "larger" if found.metric.direction == "max" else "smaller"
    compared = f"{found.comparisons} comparison" + ("" if found.comparisons == 1 else "s")
    return (
        f"{found.metric.name}: first is {found.directories[0]}, second is {found.directories[1]}; {better} is better. "
        "Their columns are means over all seeds of each. The difference is second - first, paired over the n seeds that both "
        f"have, ± its 95 % t-interval; p is of the paired t-test, Holm over {compared}; P(better) is the share of those "
        "seeds in which the second is better, a tie counting half; identical: every one of them gave the same number."
    )


def across_csv(found: Across) -> str:
    """One line per common arm, full precision, empty where a number does not exist."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    changes = "; ".join(f"{name}: {first} / {second}" for name, first, second in found.changes)
    for pair in found.pairs:
        comparison, share = pair.comparison, pair.comparison.improvement
        low, high = comparison.difference.interval or (None, None)
        sides = [pair.first.n, pair.first.mean, pair.first.sd, pair.second.n, pair.second.mean, pair.second.sd]
        difference = [comparison.difference.n, comparison.difference.mean, comparison.difference.sd, low, high]
        tests = [
            comparison.p_value,
            comparison.p_holm,
            *([share.share, share.low, share.high] if share else [None] * 3),
        ]
        writer.writerow(
            [pair.arm, found.metric.name, *sides, *difference, *tests, comparison.verdict, *pair.ids, changes]
        )
    return text.getvalue()


_HEADER = (
    "arm", "metric", "first_n", "first_mean", "first_sd", "second_n", "second_mean", "second_sd",
    "paired_n", "difference", "difference_sd", "difference_low", "difference_high",
    "p", "p_holm", "improvement", "improvement_low", "improvement_high", "verdict", "first_id", "second_id", "changes",
)  # fmt: skip

"""The summary as a table: for a terminal, and as CSV with every digit."""

import csv
import io
from typing import Literal

from rich.table import Table
from rich.text import Text

from vitcli.report import numbers
from vitcli.report.summary import Row, Summary

_STYLE = {"better": "green", "worse": "red", "baseline": "dim"}


def verdict(row: Row) -> str:
    """``baseline``, or the comparison's verdict."""
    return "baseline" if row.comparison is None else row.comparison.verdict


def meaning(summary: Summary) -> str:
    """What the table's intervals and p-values are; every table says it."""
    better = "larger" if summary.metric.direction == "max" else "smaller"
    compared = f"{summary.comparisons} comparison" + ("" if summary.comparisons == 1 else "s")
    return (
        f"± is the 95 % t-interval over n seeds (difference: over the seeds shared with {summary.baseline}); "
        f"p is of the paired t-test, Holm over {compared}; {better} {summary.metric.name} is better."
    )


def to_terminal(summary: Summary) -> Table:
    """A table that fits in 80 columns; names of arms fold where they are long."""
    places = numbers.decimals(summary)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, caption=meaning(summary), caption_justify="left")
    for name, kind in _COLUMNS.items():
        heading = name.format(metric=summary.metric.name)
        if kind == "words":
            table.add_column(heading, overflow="fold", min_width=8)
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    for row in summary.rows:
        difference = row.comparison.difference if row.comparison else None
        word = verdict(row)
        table.add_row(
            Text(row.arm),
            str(row.result.n),
            numbers.with_half_width(row.result, places),
            numbers.signed_with_half_width(difference, places) if difference else "",
            numbers.p_value(row.comparison.p_holm) if row.comparison else "",
            Text(word, style=_STYLE.get(word, "")),
            numbers.count(row.parameters),
            numbers.count(row.macs),
            numbers.seconds(row.train_seconds),
        )
    return table


_COLUMNS: dict[str, Literal["words", "number"]] = {
    "arm": "words",
    "n": "number",
    "{metric}": "number",
    "difference": "number",
    "p": "number",
    "verdict": "words",
    "params": "number",
    "MACs": "number",
    "sec": "number",
}


def to_csv(summary: Summary) -> str:
    """One line per arm, full precision, empty where a number does not exist."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_HEADER)
    for row in summary.rows:
        low, high = row.result.interval or (None, None)
        result = [row.arm, summary.metric.name, row.result.n, row.result.mean, row.result.sd, low, high]
        cost = [row.parameters, row.macs, row.train_seconds, row.images_per_second]
        writer.writerow([*result, *_comparison_cells(row), verdict(row), *cost])
    return text.getvalue()


def _comparison_cells(row: Row) -> list[float | int | str | None]:
    if row.comparison is None:
        return [None] * 7
    comparison = row.comparison
    low, high = comparison.difference.interval or (None, None)
    tests = [comparison.p_value, comparison.p_holm, comparison.seeds_needed]
    return [comparison.difference.n, comparison.difference.mean, low, high, *tests]


_CSV_HEADER = (
    "arm", "metric", "n", "mean", "sd", "low", "high",
    "paired_n", "difference", "difference_low", "difference_high", "p", "p_holm", "seeds_needed",
    "verdict", "parameters", "macs", "train_seconds", "train_images_per_second",
)  # fmt: skip

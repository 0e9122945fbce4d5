"""The summary as a table: for a terminal, and as CSV with every digit."""

import csv
import io
from typing import Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from vitcli.report import numbers
from vitcli.report.formats.printable import printable
from vitcli.report.results import BASELINE, meaning, verdict
from vitcli.report.summary import Row, Summary

_STYLE = {"better": "green", "worse": "red", BASELINE: "dim"}


def to_terminal(summary: Summary) -> Group:
    """A table that fits in 80 columns, after the warnings; names of arms fold where they are long."""
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
            Text(printable(row.arm)),
            str(row.result.n),
            numbers.with_half_width(row.result, places),
            numbers.signed_with_half_width(difference, places) if difference else "",
            numbers.p_value(row.comparison.p_holm) if row.comparison else "",
            Text(word, style=_STYLE.get(word, "")),
            numbers.count(row.parameters),
            numbers.count(row.macs),
            numbers.seconds(row.train_seconds),
        )
    return Group(*[Text(f"Warning: {printable(sentence)}", style="yellow") for sentence in summary.warnings], table)


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
        added = [*_improvement_cells(row), *_speed_cells(row), " ".join(summary.warnings)]
        writer.writerow([*result, *_comparison_cells(row), verdict(row), *cost, *added])
    return text.getvalue()


def _comparison_cells(row: Row) -> list[float | int | str | None]:
    if row.comparison is None:
        return [None] * 7
    comparison = row.comparison
    low, high = comparison.difference.interval or (None, None)
    tests = [comparison.p_value, comparison.p_holm, comparison.seeds_needed]
    return [comparison.difference.n, comparison.difference.mean, low, high, *tests]


def _improvement_cells(row: Row) -> list[float | int | None]:
    found = row.comparison.improvement if row.comparison else None
    sd = row.comparison.difference.sd if row.comparison else None
    return [sd, *([found.share, found.low, found.high, found.wins, found.ties] if found else [None] * 5)]


def _speed_cells(row: Row) -> list[float | int | None]:
    if row.speed is None:
        return [None] * 5
    images = [row.speed.inference_images_per_second, row.speed.train_images_per_second]
    return [row.speed.latency_ms, *images, row.speed.peak_memory_bytes, row.speed.step_seconds]


_CSV_HEADER = (
    "arm", "metric", "n", "mean", "sd", "low", "high",
    "paired_n", "difference", "difference_low", "difference_high", "p", "p_holm", "seeds_needed",
    "verdict", "parameters", "macs", "train_seconds", "train_images_per_second",
    "difference_sd", "improvement", "improvement_low", "improvement_high", "wins", "ties",
    "latency_ms", "inference_images_per_second", "train_step_images_per_second", "peak_memory_bytes", "step_seconds",
    "warnings",
)  # fmt: skip

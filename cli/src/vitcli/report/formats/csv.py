"""CSV: one line per row with every digit, and empty cells where a number does not exist."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from vitcli.report.columns import COLUMNS, CSV, Column, columns_of
from vitcli.report.summary import Summary

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet computes."""


def to_csv(summary: Summary) -> str:
    """Return the text of report.csv, one line per arm."""
    return lines(COLUMNS, summary, summary.rows)


def lines(columns: Sequence[Column], whole: Any, rows: Sequence[Any]) -> str:
    """Return a header and one line per row, with the columns that CSV has; ``whole`` is what ``Column.value`` gets first."""
    shown = columns_of(columns, CSV)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in shown])
    writer.writerows([[_harmless(column.value(whole, row)) for column in shown] for row in rows])
    return text.getvalue()


def _harmless(cell: Any) -> Any:
    """Return text that a spreadsheet would compute behind an apostrophe, which makes it text there; anything else as it is."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell

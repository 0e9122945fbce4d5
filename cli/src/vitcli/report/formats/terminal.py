"""The report in a terminal: the table of a summary, and the blocks of a page."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from vitcli.report import numbers
from vitcli.report.blocks import Block, Code, Heading, Paragraph, Table, Warnings
from vitcli.report.columns import COLUMNS, TERMINAL, columns_of
from vitcli.report.formats.printable import printable
from vitcli.report.summary import BASELINE, Summary
from vitcli.report.tables import meaning

_STYLE = {"better": "green", "worse": "red", BASELINE: "dim"}


def to_terminal(summary: Summary) -> Group:
    """Return a table that fits in 80 columns, after the warnings; long names of arms are folded."""
    decimals, columns = numbers.decimals(summary), columns_of(COLUMNS, TERMINAL)
    table = _empty_table()
    table.caption, table.caption_justify = meaning(summary), "left"
    for column in columns:
        heading = (column.short or column.heading).format(metric=summary.metric.name)
        _add_column(table, heading, is_words=column.is_words)
    for row in summary.rows:
        cells = [(column, column.cell(summary, row, decimals)) for column in columns]
        table.add_row(
            *[
                Text(printable(cell), _STYLE.get(cell.split()[0], "") if column.key == "outcome" else "")
                for column, cell in cells
            ]
        )
    return Group(*_warnings(summary.warnings), table)


def blocks_to_terminal(content: Sequence[Block]) -> Group:
    """Return headings, paragraphs, warnings and tables; blocks of other kinds are left out, because they need a page."""
    return Group(*[part for block in content for part in _block(block)])


def _block(block: Block) -> Sequence[RenderableType]:
    match block:
        case Heading(text):
            return [Text(printable(text), style="bold"), Text("")]
        case Paragraph(text, lead):
            return [Text(f"{lead} {printable(text)}" if lead else printable(text)), Text("")]
        case Warnings(sentences):
            return _warnings(sentences)
        case Table():
            return [_table(block), Text("")]
        case _:
            return []


def _warnings(sentences: Sequence[str]) -> list[Text]:
    return [Text(f"Warning: {printable(sentence)}", style="yellow") for sentence in sentences]


def _table(table: Table) -> RichTable:
    drawn = _empty_table()
    for name in table.header:
        _add_column(drawn, name, is_words=name in table.words)
    for row in table.rows:
        drawn.add_row(*[Text(printable(cell.text if isinstance(cell, Code) else cell)) for cell in row])
    return drawn


def _empty_table() -> RichTable:
    return RichTable(box=None, padding=(0, 1, 0, 0), pad_edge=False)


def _add_column(table: RichTable, heading: str, *, is_words: bool) -> None:
    if is_words:
        table.add_column(Text(printable(heading)), overflow="fold", min_width=8)
    else:
        table.add_column(Text(printable(heading)), justify="right", no_wrap=True)

"""Blocks of a page as a terminal shows them."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from vitcli.report.blocks import Block, Code, Heading, Paragraph, Table, Warnings
from vitcli.report.formats.printable import printable


def blocks_to_terminal(content: Sequence[Block]) -> Group:
    """Headings, paragraphs, warnings and tables; blocks of other kinds need a page and are left out."""
    return Group(*[part for block in content for part in _block(block)])


def _block(block: Block) -> list[RenderableType]:
    match block:
        case Heading(text):
            return [Text(printable(text), style="bold"), Text("")]
        case Paragraph(text, lead):
            return [Text(f"{lead} {printable(text)}" if lead else printable(text)), Text("")]
        case Warnings(sentences):
            return [Text(f"Warning: {printable(sentence)}", style="yellow") for sentence in sentences]
        case Table():
            return [_table(block), Text("")]
        case _:
            return []


def _table(table: Table) -> RichTable:
    drawn = RichTable(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in table.header:
        if name in table.words:
            drawn.add_column(Text(printable(name)), overflow="fold", min_width=8)
        else:
            drawn.add_column(Text(printable(name)), justify="right", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*[Text(printable(cell.text if isinstance(cell, Code) else cell)) for cell in row])
    return drawn

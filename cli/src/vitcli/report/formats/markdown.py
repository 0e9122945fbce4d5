"""The report as Markdown, as GitHub shows it."""

import re
from collections.abc import Sequence

from vitcli.report.blocks import Block, Bullets, Code, Heading, Log, Paragraph, Picture, Table, Warnings
from vitcli.report.formats.printable import printable


def to_markdown(content: Sequence[Block]) -> str:
    """Return the text of report.md."""
    return "\n\n".join(_block(block) for block in content) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_plain(text)}"
        case Paragraph(text, lead):
            return f"**{lead}** {_plain(text)}" if lead else _plain(text)
        case Warnings(sentences):
            return "\n".join(
                ["> **Warning.** Read this before the numbers.", ">", *[f"> * {_plain(s)}" for s in sentences]]
            )
        case Table():
            return _table(block)
        case Picture(name, caption):
            return f"![{caption}]({name}.png)\n\n*{caption}*"
        case Bullets(items):
            return "\n".join(f"* **{_plain(lead)}**: {_cell(text)}" for lead, text in items)
        case Log(title, lines):
            return f"{_plain(title)}:\n\n" + "\n".join(f"    {printable(line)}" for line in lines)


def _table(table: Table) -> str:
    rule = ["---" if name in table.words else "---:" for name in table.header]
    rows = [[_cell(cell).replace("|", "\\|") for cell in row] for row in (table.header, *table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [rows[0], rule, *rows[1:]])


def _cell(cell: str | Code) -> str:
    if isinstance(cell, str):
        return _plain(cell)
    text = " ".join(printable(cell.text).split())
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"`{text}`"


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", " ".join(printable(text).split()))


# Characters that would turn text into an element, emphasis, code, or the second half of a link.
_MARKUP = re.compile(r"<(?=[A-Za-z/!?])|[`*\\]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=\])\(")

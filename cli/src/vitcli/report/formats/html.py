"""The report as one HTML file that needs nothing beside it: no script, no network, and the figures inside."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from vitcli.report.blocks import Block, Bullets, Code, Heading, Log, Paragraph, Picture, Table, Warnings
from vitcli.report.formats.printable import printable
from vitcli.report.formats.style import STYLE

# Whatever slipped through: the browser runs no script and fetches nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def to_html(title: str, content: Sequence[Block], directory: Path) -> str:
    """The text of report.html.

    Args:
        title: Of the window.
        content: What the page says.
        directory: Where the figures lie, as SVG.
    """
    body = "\n".join(_block(block, directory) for block in content)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _block(block: Block, directory: Path) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{_text(text)}</h{level}>"
        case Paragraph(text, lead):
            return f"<p>{f'<b>{_text(lead)}</b> ' if lead else ''}{_text(text)}</p>"
        case Warnings(sentences):
            items = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
            return (
                f'<div class="warning" role="note"><b>Warning.</b> Read this before the numbers.<ul>{items}</ul></div>'
            )
        case Table():
            return _table(block)
        case Picture():
            return _picture(block, directory)
        case Bullets(items):
            return "<ul>" + "".join(f"<li><b>{_text(lead)}</b>: {_cell(text)}</li>" for lead, text in items) + "</ul>"
        case Log(title, lines):
            text = "\n".join(_text(line) for line in lines)
            return f"<details><summary>{_text(title)}</summary><pre>{text}</pre></details>"


def _table(table: Table) -> str:
    kinds = ["" if name in table.words else ' class="number"' for name in table.header]
    head = "".join(f'<th scope="col"{kind}>{_text(name)}</th>' for name, kind in zip(table.header, kinds, strict=True))
    rows = []
    for row in table.rows:
        first = f'<th scope="row">{_cell(row[0])}</th>'
        rest = [f"<td{kind}>{_cell(cell)}</td>" for cell, kind in zip(row[1:], kinds[1:], strict=True)]
        rows.append(f"<tr>{first}{''.join(rest)}</tr>")
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{_text(table.name)}">{inner}</div>'


def _picture(picture: Picture, directory: Path) -> str:
    data = base64.b64encode((directory / f"{picture.name}.svg").read_bytes()).decode("ascii")
    image = f'<img alt="{_text(picture.caption)}" src="data:image/svg+xml;base64,{data}">'
    caption = f"<figcaption>{_text(picture.caption)}</figcaption>"
    return f'<figure><div class="wide" tabindex="0" role="region" aria-label="{picture.name}">{image}</div>{caption}</figure>'


def _cell(cell: str | Code) -> str:
    return f"<code>{_text(cell.text)}</code>" if isinstance(cell, Code) else _text(cell)


def _text(text: str) -> str:
    return escape(printable(text), quote=True)

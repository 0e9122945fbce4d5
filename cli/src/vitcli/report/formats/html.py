"""The report as one HTML file that needs nothing beside it: no script, no network, and the figures inside.

Tables are sorted by the style sheet: a click on an arrow checks the button under it, and each row has its place in the order of
each column as a variable. On a phone each row of a table becomes a card, with the headings beside the values.
"""

import base64
import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from vitcli.report.blocks import Block, Bullets, Code, Heading, Log, Paragraph, Picture, Table, Warnings
from vitcli.report.formats.printable import printable

# Should anything slip through the escaping, the browser still runs no script and fetches nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def to_html(title: str, content: Sequence[Block], directory: Path) -> str:
    """Return the text of report.html.

    Args:
        title: Title of the window.
        content: The blocks of the page.
        directory: The directory that holds the figures as SVG.
    """
    body = "\n".join(_section(kind, blocks, directory) for kind, blocks in groupby(enumerate(content), _is_picture))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _is_picture(numbered: tuple[int, Block]) -> bool:
    return isinstance(numbered[1], Picture)


def _section(pictures: bool, blocks: Iterable[tuple[int, Block]], directory: Path) -> str:  # noqa: FBT001
    """Return blocks below each other; pictures stand side by side where there is room."""
    inner = "\n".join(_block(block, number, directory) for number, block in blocks)
    return f'<div class="figures">\n{inner}\n</div>' if pictures else inner


def _block(block: Block, number: int, directory: Path) -> str:
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
            return _table(block, number)
        case Picture():
            return _picture(block, directory)
        case Bullets(items):
            return "<ul>" + "".join(f"<li><b>{_text(lead)}</b>: {_cell(text)}</li>" for lead, text in items) + "</ul>"
        case Log(title, lines):
            text = "\n".join(_text(line) for line in lines)
            return f"<details><summary>{_text(title)}</summary><pre>{text}</pre></details>"


def _table(table: Table, number: int) -> str:
    kinds = ["" if name in table.words else "number" for name in table.header]
    sortable = len(table.rows) > 2 and len(table.header) <= MOST_SORTED
    head = "".join(
        f'<th scope="col" class="{kind}">{_text(name)}{_arrows(number, column, name) if sortable else ""}</th>'
        for column, (name, kind) in enumerate(zip(table.header, kinds, strict=True))
    )
    places = [_places([row[column] for row in table.rows]) for column in range(len(table.header))] if sortable else []
    rows = []
    for at, row in enumerate(table.rows):
        cells = [
            f'<{tag} class="{kind}" data-label="{_text(name)}">{_cell(cell)}</{tag.split()[0]}>'
            for tag, kind, name, cell in zip(_tags(len(row)), kinds, table.header, row, strict=True)
        ]
        order = ";".join(f"--r{column}:{place[at]}" for column, place in enumerate(places))
        rows.append(f'<tr style="{order}">{"".join(cells)}</tr>')
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    columns = f"--columns:{len(table.header)}"
    return (
        f'<div class="wide" style="{columns}" tabindex="0" role="region" aria-label="{_text(table.name)}">{inner}</div>'
    )


def _tags(cells: int) -> list[str]:
    return ['th scope="row"', *["td"] * (cells - 1)]


def _arrows(table: int, column: int, name: str) -> str:
    """Return the two buttons that sort a table by a column."""
    return (
        "<span>"
        + "".join(
            f'<label title="sort by {_text(name)}, {first} first"><input type="radio" name="sort{table}" class="{way}{column}">'
            f'<i aria-hidden="true">{arrow}</i></label>'
            for way, arrow, first in (("up", "▲", "smallest"), ("down", "▼", "largest"))
        )
        + "</span>"
    )


def _places(cells: Sequence[str | Code]) -> list[int]:
    """Return the place of each cell in the order of its column, from 1: by the number that it begins with, else by its text."""
    texts = [cell.text if isinstance(cell, Code) else cell for cell in cells]
    order = sorted(range(len(texts)), key=lambda at: _sort_key(texts[at]))
    return [order.index(at) + 1 for at in range(len(texts))]


def _sort_key(text: str) -> tuple[float, str]:
    found = _NUMBER.match(text.replace(",", ""))
    return (float(found[1]) * _UNITS.get(found[2], 1.0) if found else math.inf, text)


_NUMBER = re.compile(r"<?([-+]?\d+(?:\.\d+)?)([kMG]?)")
_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9}
MOST_SORTED = 16
"""Columns of a table that can be sorted."""


def _picture(picture: Picture, directory: Path) -> str:
    data = base64.b64encode((directory / f"{picture.name}.svg").read_bytes()).decode("ascii")
    image = f'<img alt="{_text(picture.caption)}" src="data:image/svg+xml;base64,{data}">'
    caption = f"<figcaption>{_text(picture.caption)}</figcaption>"
    return f'<figure><div class="wide" tabindex="0" role="region" aria-label="{picture.name}">{image}</div>{caption}</figure>'


def _cell(cell: str | Code) -> str:
    if isinstance(cell, str):
        return _text(cell)
    # A long key may break behind its dots, an argument list behind its commas.
    broken = re.sub(r"([.,_(=])(?=[^ ])", r"\g<1><wbr>", _text(cell.text))
    return f"<code>{broken}</code>"


def _text(text: str) -> str:
    return escape(printable(text), quote=True)


# Dark on light or light on dark, as the reader's device has it, and readable on a phone.
_SORTED = "\n".join(
    f"table:has(.up{n}:checked) tbody tr {{ --o: var(--r{n}); }}\n"
    f"table:has(.down{n}:checked) tbody tr {{ --o: calc(0 - var(--r{n})); }}"
    for n in range(MOST_SORTED)
)
_STYLE = (
    """
:root { color-scheme: light dark; --text: #1a1a1a; --page: #fff; --soft: #5a5a5a; --line: #d5d5d5; --head: #f3f3f3;
  --warn: #fff3d6; --edge: #b36b00; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --page: #16181b; --soft: #a8a8a8; --line: #3c4046;
  --head: #22252a; --warn: #3a2c0d; --edge: #e0a030; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 110rem; margin: 0 auto; padding: 1rem 2rem; }
p, ul, .warning { max-width: 60rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
.warning { background: var(--warn); border-left: 5px solid var(--edge); padding: .7rem 1rem; margin: 1rem 0; }
.warning ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
.wide:focus-visible { outline: 2px solid var(--edge); }
table { display: grid; grid-template-columns: repeat(var(--columns), minmax(min-content, auto)); justify-content: start;
  font-size: .9rem; }
thead, tbody, tr { display: contents; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left; max-width: 34rem; }
thead th { background: var(--head); font-weight: 600; align-content: end; overflow-wrap: normal; order: -1000; }
tbody th, tbody td { order: var(--o, 0); }
tbody th { font-weight: 600; position: sticky; left: 0; background: var(--page); }
thead span { white-space: nowrap; }
thead label { cursor: pointer; padding: 0 .1rem; color: var(--soft); font-size: .7rem; }
thead i { font-style: normal; opacity: .45; }
thead input { position: absolute; opacity: 0; width: 1px; height: 1px; }
thead input:checked + i, thead label:hover i { opacity: 1; color: var(--edge); }
thead input:focus-visible + i { outline: 2px solid var(--edge); }
tbody .number { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.figures { display: grid; gap: 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
figure { margin: 0; }
figure .wide { background: #fff; border-radius: 6px; padding: .4rem; margin: 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; }
code, pre { font: .85em/1.4 ui-monospace, monospace; }
td code { overflow-wrap: break-word; }
pre { overflow-x: auto; background: var(--head); padding: .6rem; }
@media (max-width: 48rem) {
  main { padding: 1rem; }
  table { display: block; }
  thead { display: block; }
  thead tr { display: flex; flex-wrap: wrap; gap: .2rem .8rem; background: var(--head); padding: .3rem .6rem; }
  thead th { border: 0; padding: 0; max-width: none; font-weight: 400; font-size: .8rem; }
  tbody { display: flex; flex-direction: column; }
  tbody tr { display: block; order: var(--o, 0); border-bottom: 2px solid var(--line); padding: .4rem 0; }
  tbody th, tbody td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .1rem .6rem;
    max-width: none; }
  tbody td::before { content: attr(data-label); color: var(--soft); flex: 0 1 auto; text-align: left;
    white-space: normal; }
  tbody td:empty { display: none; }
  tbody td > code { text-align: right; }
}
@media print { .wide { overflow: visible; } figure { break-inside: avoid; } thead span { display: none; } }
"""
    + _SORTED
)

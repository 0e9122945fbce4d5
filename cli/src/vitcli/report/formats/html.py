"""The report as one HTML file that needs nothing beside it: no script, no network, and the figures inside."""

import base64
from collections.abc import Sequence
from html import escape
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
    body = "\n".join(_block(block, directory) for block in content)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
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


# Dark on light or light on dark, as the reader's device has it, and readable on a phone.
_STYLE = """
:root { color-scheme: light dark; --text: #1a1a1a; --page: #fff; --soft: #5a5a5a; --line: #d5d5d5; --head: #f3f3f3;
  --warn: #fff3d6; --edge: #b36b00; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --page: #16181b; --soft: #a8a8a8; --line: #3c4046;
  --head: #22252a; --warn: #3a2c0d; --edge: #e0a030; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
.warning { background: var(--warn); border-left: 5px solid var(--edge); padding: .7rem 1rem; margin: 1rem 0; }
.warning ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
.wide:focus-visible { outline: 2px solid var(--edge); }
table { border-collapse: collapse; font-size: .9rem; width: max-content; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { background: var(--head); font-weight: 600; max-width: 7.5rem; vertical-align: bottom; overflow-wrap: normal; }
tbody th { font-weight: 600; max-width: 16rem; position: sticky; left: 0; background: var(--page); }
td { max-width: 26rem; }
@media (max-width: 40rem) { tbody th { max-width: 8.5rem; } td { max-width: 15rem; } }
tbody .number { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; }
figure .wide { background: #fff; border-radius: 6px; padding: .4rem; margin: 0; }
figure img { display: block; max-width: 100%; min-width: 36rem; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; }
code, pre { font: .85em/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; background: var(--head); padding: .6rem; }
@media print { .wide { overflow: visible; } figure { break-inside: avoid; } }
"""

r"""The report's tables as LaTeX, for ``\input`` into any document that has ``\usepackage{booktabs}``."""

import re
import unicodedata
from collections.abc import Sequence

from vitcli.report.blocks import Block, Code, Paragraph, Table, Warnings
from vitcli.report.formats.printable import printable

_HEAD = r"""% Tables of the ablation report; needs \usepackage{booktabs} and nothing else.
% The numbers are those of report.md, report.html and report.csv, which say more about them.
"""


def to_latex(content: Sequence[Block]) -> str:
    """Return the text of report.tex: warnings, tables and what their numbers are; other blocks of the report are left out."""
    return _HEAD + "\n".join(filter(None, map(_block, content)))


# Even so, eight columns fill the width of a page. The settings end with the braces.
_NARROW = r"\noindent{\footnotesize\setlength{\tabcolsep}{3pt}"


def _block(block: Block) -> str:
    match block:
        case Warnings(sentences):
            return "".join(f"\\par\\noindent\\textbf{{Warning.}} {_text(sentence)}\n" for sentence in sentences)
        case Table():
            return _table(block)
        case Paragraph(text, lead):
            return f"\\par\\noindent{{\\footnotesize {f'{_text(lead)} ' if lead else ''}{_text(text)}\\par}}\n"
        case _:
            return ""


def _table(table: Table) -> str:
    kinds = "".join("l" if name in table.words else "r" for name in table.header)
    header = " & ".join(_heading(name, kind) for name, kind in zip(table.header, kinds, strict=True))
    rows = [" & ".join(_cell(cell) for cell in row) for row in table.rows]
    lines = [
        f"% {_text(table.name)}",
        f"{_NARROW}\\begin{{tabular}}{{{kinds}}}",
        "\\toprule",
        f"{header} \\\\",
        "\\midrule",
    ]
    return "\n".join([*lines, *[f"{row} \\\\" for row in rows], "\\bottomrule", "\\end{tabular}}", ""])


def _heading(name: str, side: str) -> str:
    """Return the heading with one line per word, so that a column is only as wide as its numbers."""
    words = [_text(word) for word in name.split()]
    stacked = "\\\\".join(words)
    return f"\\shortstack[{side}]{{{stacked}}}" if len(words) > 1 else "".join(words)


def _cell(cell: str | Code) -> str:
    if isinstance(cell, Code):
        return f"\\texttt{{{_text(cell.text)}}}"
    return _number(cell) if _NUMBER.fullmatch(cell) else "--" if cell == "-" else _text(cell)


# 0.871 ± 0.010, +0.021 [0.012, 0.030], <0.001, 123,456, 6.87M
_NUMBER = re.compile(r"[-+<]?\d[\d.,/]*[kMG]?( ± [\d.]+| \[[-\d., ]+\])?")


def _number(cell: str) -> str:
    thousands = re.sub(r"(?<=\d),(?=\d)", "{,}", cell)
    return f"${thousands.replace('±', chr(92) + 'pm').replace(' (', chr(92) + ' (').replace(' [', chr(92) + ' [')}$"


def _text(text: str) -> str:
    # Neighbouring hyphens would join to a dash.
    return "".join(_letter(letter) for letter in printable(text)).replace("--", "-{}-{}")


def _letter(letter: str) -> str:
    if letter in _SPECIAL:
        return _SPECIAL[letter]
    if letter.isascii():
        return letter
    # Not every engine and font has the letter: the nearest ASCII, or its number, compiles everywhere.
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode("ascii")
    return "".join(_SPECIAL.get(one, one) for one in plain) or f"(U+{ord(letter):04X})"


_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': "''", "±": r"$\pm$", "[": "{[}", "]": "{]}", "*": "{*}",
    "–": r"\textendash{}", "—": r"\textemdash{}", "’": "'", "“": "``", "”": "''", "×": r"$\times$", "→": r"$\to$",
    "≤": r"$\leq$", "≥": r"$\geq$", "µ": r"$\mu$",
}  # fmt: skip

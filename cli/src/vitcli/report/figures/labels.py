"""Room for names in pictures: long ones fold, and rows with more lines are higher."""

import re
from collections.abc import Sequence
from itertools import accumulate

from vitcli.report.formats.printable import printable

_LINE = 0.165
"""Inches from one line of text to the next."""
_ROW = 0.42
"""Inches of a row with one line of text, or two."""


WIDTH = 30
"""Letters in a line."""


def fold(name: str, width: int = WIDTH) -> str:
    """The name in lines of at most ``width`` letters, broken after ``-``, ``_``, ``.``, ``,`` or a space where it can be."""
    lines = [""]
    for part in re.findall(r"[^-_., ]*[-_., ]*", printable(name)):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        for letter in part:
            if len(lines[-1]) >= width and not letter.isspace():
                lines.append("")
            lines[-1] += letter
    return "\n".join(line.strip() for line in lines)


def with_seeds(name: str, seeds: int) -> str:
    """The folded name with the number of seeds, which stays in one piece."""
    folded, count = fold(name), f"(n = {seeds})"
    fits = len(folded.rsplit("\n", 1)[-1]) + len(count) < WIDTH
    return f"{folded}{' ' if fits else chr(10)}{count}"


def heights(names: Sequence[str]) -> tuple[list[float], float]:
    """The middle of each name's row, from the top and in inches, and the height of all rows together."""
    rows = [max(_ROW, 0.1 + _LINE * (name.count("\n") + 1)) for name in names]
    ends = list(accumulate(rows))
    return [end - row / 2 for end, row in zip(ends, rows, strict=True)], ends[-1] if ends else 0.0

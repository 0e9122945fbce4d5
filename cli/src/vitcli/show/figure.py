"""Draw all ops side by side, family by family: the same map and the same query for each."""

import re
from pathlib import Path

from vitcli.show.draw import LEGEND, blank_figure, draw_map, join_in_lines, legend_entries, save
from vitcli.show.gallery import FAMILIES, Example
from vitcli.show.levels import LEVELS
from vitcli.show.measure import Sight

COLUMNS = 6
# In inches: the distance between panels, their side, the space for a family's title and for the text below a panel.
PITCH, SIDE, TITLE, TEXT = 1.66, 1.44, 0.34, 0.72
NAME, DETAILS, HEADING = 10.5, 9.5, 12.5
NAME_LENGTH, DETAILS_LENGTH = 19, 21


def draw_families(sights: dict[Example, Sight], path: Path) -> None:
    """Write the figure of all families to ``path``. The first family leaves two places of its row to the legend."""
    places, row, column = [], 0, 0
    for family, examples in FAMILIES.items():
        if column + len(examples) > COLUMNS:
            row, column = row + 1, 0
        places.append((family, examples, row, column))
        column += len(examples)
    down = TITLE + SIDE + TEXT
    width, height = COLUMNS * PITCH, (row + 1) * down
    figure = blank_figure(width, height, 150)
    for family, examples, row, first in places:
        top = height - row * down
        left = first * PITCH
        figure.text(
            left / width, (top - 0.08) / height, family, fontsize=HEADING, weight="bold", va="top", color="0.15"
        )
        for number, example in enumerate(examples):
            x, y = left + number * PITCH, top - TITLE - SIDE
            draw_map(figure.add_axes((x / width, y / height, SIDE / width, SIDE / height)), sights[example])
            name, details = break_name(example.op), join_in_lines(example.details, DETAILS_LENGTH)
            figure.text(x / width, (y - 0.05) / height, name, fontsize=NAME, va="top", linespacing=1.05)
            lines = name.count("\n") + 1
            figure.text(x / width, (y - 0.07 - 0.16 * lines) / height, details, fontsize=DETAILS, va="top", color="0.4")
    figure.legend(
        handles=legend_entries(list(range(len(LEVELS)))), title=LEGEND, alignment="left", loc="upper left",
        bbox_to_anchor=((COLUMNS - 2) * PITCH / width, (height - TITLE) / height), frameon=False, fontsize=NAME,
        title_fontsize=NAME, borderaxespad=0, borderpad=0,
    )  # fmt: skip
    save(figure, path)


def break_name(name: str) -> str:
    """Break a name between its words if it is wider than a panel."""
    lines = [""]
    for word in re.findall(r"[A-Z][^A-Z]*|^[^A-Z]+", name):
        if lines[-1] and len(lines[-1]) + len(word) > NAME_LENGTH:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)

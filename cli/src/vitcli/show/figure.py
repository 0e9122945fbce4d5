"""All ops side by side: small multiples of one map and one query, family by family."""

from pathlib import Path

from vitcli.show.draw import blank, draw_map, keys, save
from vitcli.show.gallery import FAMILIES, Example
from vitcli.show.levels import LEVELS
from vitcli.show.measure import Sight

COLUMNS = 6
# Inches: the pitch of the panels, their side, the room for a family's title and for the text below a panel.
PITCH, SIDE, TITLE, TEXT = 1.62, 1.4, 0.34, 0.62
NAME, DETAILS, HEADING = 9.5, 8.5, 11.5


def draw_families(sights: dict[Example, Sight], path: Path) -> None:
    """Write the figure of all families to ``path``."""
    places, row, column = [], 0, 0
    for family, examples in FAMILIES.items():
        if column + len(examples) > COLUMNS:
            row, column = row + 1, 0
        places.append((family, examples, row, column))
        column += len(examples)
    down = TITLE + SIDE + TEXT
    width, height = COLUMNS * PITCH, (row + 1) * down
    figure = blank(width, height)
    for family, examples, row, first in places:
        top = height - row * down
        left = first * PITCH
        figure.text(left / width, (top - 0.08) / height, family, fontsize=HEADING, weight="bold", va="top", color="0.15")
        for number, example in enumerate(examples):
            x, y = left + number * PITCH, top - TITLE - SIDE
            draw_map(figure.add_axes((x / width, y / height, SIDE / width, SIDE / height)), sights[example])
            name, details = caption(example, sights[example])
            figure.text(x / width, (y - 0.05) / height, name, fontsize=NAME, va="top", linespacing=1.05)
            lines = name.count("\n") + 1
            figure.text(x / width, (y - 0.07 - 0.15 * lines) / height, details, fontsize=DETAILS, va="top", color="0.4")
    figure.legend(
        handles=keys(list(range(len(LEVELS)))), loc="lower left",
        bbox_to_anchor=((COLUMNS - 2) * PITCH / width, TEXT / height), frameon=False, fontsize=NAME, borderaxespad=0,
    )  # fmt: skip
    save(figure, path)


def caption(example: Example, sight: Sight) -> tuple[str, str]:
    """Return an op's name, broken where it is long, and how it was set."""
    name = example.op
    if len(name) > 16 and name.endswith("Attention"):
        name = name.removesuffix("Attention") + "\nAttention"
    return name, example.details

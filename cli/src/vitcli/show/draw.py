"""Draw what a query sees: one op with its legend. This uses matplotlib's object API only: no pyplot, no global state."""

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitcli.report import FONT
from vitcli.show.levels import DOT, ELSEWHERE, LEVELS, QUERY, levels
from vitcli.show.measure import Sight
from vitcli.show.terminal import summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

LEGEND = "gradient of the query's output"
MAP, WIDTH = 2.6, 5.6
"""The longer side of the map and the width of its picture, in inches."""
COLOURS = 64
"""Colours of a PNG: more than the drawing has, smoothed edges included, for a third of the bytes of full colour."""


def draw_one(sight: Sight, title: str, details: list[str], path: Path) -> None:
    """Write one map with its legend to ``path``, whose ending chooses PNG or SVG."""
    h, w = sight.strength.shape
    down, across = MAP * h / max(h, w), MAP * w / max(h, w)
    # The picture of a flat map is higher than the map, so that the text on its right fits.
    height = max(down, 0.85 * MAP)
    draw_map(
        (figure := blank_figure(WIDTH, height)).add_axes((0, 1 - down / height, across / WIDTH, down / height)), sight
    )
    left = (MAP + 0.2) / WIDTH
    figure.text(left, 1, title, fontsize=FONT, weight="bold", va="top")
    figure.text(left, 1 - 0.2 / height, join_in_lines(details, 36), fontsize=FONT - 1, color="0.35", va="top")
    figure.text(left, 0, textwrap.fill(summary(sight), 36), fontsize=FONT - 1, va="bottom", linespacing=1.4)
    present = sorted(set(levels(sight).flatten().tolist()))
    figure.legend(
        handles=legend_entries(present), title=LEGEND, alignment="left", loc="center left", bbox_to_anchor=(left - 0.01, 0.51),
        frameon=False, fontsize=FONT - 1, title_fontsize=FONT - 1, borderaxespad=0, handletextpad=0.4, labelspacing=0.35,
    )  # fmt: skip
    save(figure, path)


def blank_figure(width: float, height: float, dpi: int = 100) -> "Figure":
    """Return an empty white figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: Path) -> None:
    """Write the figure as PNG or SVG; the same measurement gives the same bytes on any day."""
    from matplotlib import rc_context
    from PIL import Image

    trimmed: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.08}
    if path.suffix.lower() == ".svg":
        with rc_context({"svg.hashsalt": "vitcli"}):
            figure.savefig(path, metadata={"Date": None}, **trimmed)
        return
    full = io.BytesIO()
    figure.savefig(full, format="png", **trimmed)
    with Image.open(full) as image:
        image.convert("RGB").quantize(COLOURS).save(path, optimize=True, dpi=(figure.dpi, figure.dpi))


def draw_map(axes: "Axes", sight: Sight) -> None:
    """Draw each token as a square, the query in a frame, and the objects' borders where the tokens depend on them."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Rectangle

    level = levels(sight)
    h, w = level.shape
    axes.set(aspect="equal", xlim=(-0.12, w + 0.12), ylim=(h + 0.12, -0.12))
    axes.set_axis_off()
    colours = ListedColormap([level.colour for level in LEVELS])
    axes.pcolormesh(level, cmap=colours, vmin=0, vmax=len(LEVELS), edgecolors="white", linewidth=0.5)
    rows, columns = np.nonzero(level == ELSEWHERE)
    side = axes.get_window_extent().width / w * 72 / axes.figure.dpi
    axes.scatter(columns + 0.5, rows + 0.5, s=(0.28 * side) ** 2, color=DOT, linewidths=0)
    if sight.depends_on_content:
        axes.add_collection(LineCollection(_borders(sight.objects), colors="black", linewidths=0.9, capstyle="round"))
    row, column = sight.query
    frame = max(2.0, 0.2 * side)
    for colour, width in (("white", frame + 1.2), (QUERY, frame)):
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=colour, linewidth=width))


def legend_entries(present: list[int]) -> "list[Line2D]":
    """Return the legend's entries for the query and for classes of tokens, the strongest first."""
    from matplotlib.lines import Line2D

    def entry(label: str, marker: str, size: float, colour: str, edge: str, width: float) -> Line2D:
        return Line2D(
            [], [], label=label, linestyle="none", marker=marker, markersize=size, color=colour, markeredgecolor=edge,
            markeredgewidth=width,
        )  # fmt: skip

    entries = [entry("query", "s", 9, "none", QUERY, 2)]
    entries += [
        entry(LEVELS[i].name, "s", 9, LEVELS[i].colour, "0.8", 0.5) for i in reversed(present) if i != ELSEWHERE
    ]
    if ELSEWHERE in present:
        entries.append(entry(LEVELS[ELSEWHERE].name, "o", 4, DOT, DOT, 0))
        entries.append(Line2D([], [], color="black", linewidth=0.9, label="border of an object"))
    return entries


def _borders(objects: NDArray[np.int64]) -> list[list[tuple[int, int]]]:
    """Return the sides, from (x, y) to (x, y), between tokens of different objects."""
    below = zip(*np.nonzero(objects[1:] != objects[:-1]), strict=True)
    beside = zip(*np.nonzero(objects[:, 1:] != objects[:, :-1]), strict=True)
    flat = [[(int(x), int(y) + 1), (int(x) + 1, int(y) + 1)] for y, x in below]
    return flat + [[(int(x) + 1, int(y)), (int(x) + 1, int(y) + 1)] for y, x in beside]


def join_in_lines(details: list[str], width: int) -> str:
    """Join texts by commas and break the lines between texts so that they have at most ``width`` characters where possible."""
    lines: list[str] = []
    for text in details:
        if lines and len(lines[-1]) + len(text) + 3 <= width:
            lines[-1] += f", {text}"
        else:
            lines.append(text)
    return ",\n".join(lines)

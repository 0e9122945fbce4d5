"""What all figures share: an empty picture and its way to a file, names that fold, and intervals.

Only matplotlib's object API is used: no pyplot and no global state.
"""

import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vitcli.report.formats.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FONT = 10.0
WIDTH, ALONE = 3.4, 4.8
"""Inches of a picture that has names beside it, and of one that has none. Both end at about five inches, so that a letter of ten
points is ten pixels high on a phone and in TensorBoard's Images tab, which show a picture with 350 pixels."""
_DPI = 220
_MARGIN = 0.12
KINDS = (".png", ".svg")

_LINE, _ROW = 0.165, 0.42
"""Inches: the distance between two lines of text, and the height of a row with one or two lines."""
LETTERS = 30
"""Most letters in a line of text beside the picture."""
MOST_NUMBERS = 5
"""Most steps between the numbers of an axis, so that they do not touch."""
BELOW = 44
"""Most letters in a line of text below the picture."""


class HasInterval(Protocol):
    """An estimate or a difference."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end; None if there is none."""


@contextmanager
def canvas(stem: Path, height: float) -> "Iterator[Axes]":
    """Axes with numbers below, ``height`` inches high; the picture is saved at the end, as ``canvas_of`` does."""
    with canvas_of(stem, height, 1) as (axes,):
        yield axes
        axes.locator_params(axis="x", nbins=MOST_NUMBERS)


@contextmanager
def canvas_of(
    stem: Path, height: float, rows: int, heights: Sequence[float] | None = None, width: float = WIDTH
) -> "Iterator[list[Axes]]":
    """Axes below each other; the picture is saved as ``stem``.png and ``stem``.svg at the end, the same bytes on any day.

    Args:
        stem: Where to save it, without the ending.
        height: Height of the picture, in inches.
        rows: Number of axes.
        heights: Heights of the axes, in proportion; equal if left out.
        width: Width of the picture without what stands beside the axes, in inches.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A name with two dollar signs must not become a formula; a letter that the font lacks becomes a box without a warning.
    with rc_context({"text.parse_math": False, "svg.hashsalt": "vitcli"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        all_axes = list(figure.subplots(rows, 1, squeeze=False, height_ratios=heights).flat)
        for axes in all_axes:
            axes.spines[["top", "right"]].set_visible(False)
        yield all_axes
        for axes in all_axes:
            axes.set_xlabel("\n".join(textwrap.fill(line, BELOW) for line in axes.get_xlabel().split("\n")))
            for label in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
                label.set_fontsize(FONT)
        _save(figure, stem)


def remove(stem: Path) -> None:
    """Delete the picture if it is there."""
    for kind in KINDS:
        stem.with_name(stem.name + kind).unlink(missing_ok=True)


def _save(figure: "Figure", stem: Path) -> None:
    # The bounding box is computed once for both kinds of file.
    box = figure.get_tightbbox(figure.canvas.get_renderer()).padded(_MARGIN)  # type: ignore[attr-defined]
    figure.savefig(stem.with_name(stem.name + ".png"), bbox_inches=box, pil_kwargs={"compress_level": 4})
    figure.savefig(stem.with_name(stem.name + ".svg"), bbox_inches=box, metadata={"Date": None})


def fold(name: str, width: int = LETTERS) -> str:
    """Return the name in lines of at most ``width`` letters, broken after ``-``, ``_``, ``.``, ``,`` or a space if possible."""
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
    """Return the folded name with the number of seeds, which stays in one piece."""
    folded, count = fold(name), f"(n = {seeds})"
    fits = len(folded.rsplit("\n", 1)[-1]) + len(count) < LETTERS
    return f"{folded}{' ' if fits else chr(10)}{count}"


def heights(names: Sequence[str]) -> tuple[list[float], float]:
    """Return the middle of each name's row, in inches from the top, and the height of all rows together."""
    rows = [max(_ROW, 0.1 + _LINE * (name.count("\n") + 1)) for name in names]
    ends = list(accumulate(rows))
    return [end - row / 2 for end, row in zip(ends, rows, strict=True)], ends[-1] if ends else 0.0


def draw_across(axes: "Axes", results: Sequence[HasInterval], heights: Sequence[float], colours: Sequence[str]) -> None:
    """Draw each result's interval as a horizontal bar at its height, all bars as one artist, because single ones are slow."""
    bars = [
        (*one.interval, at, colour) for one, at, colour in zip(results, heights, colours, strict=True) if one.interval
    ]
    if not bars:
        return
    low, high, at, colour = map(list, zip(*bars, strict=True))
    axes.hlines(at, low, high, colors=colour, linewidth=2, zorder=2)
    axes.scatter([*low, *high], at * 2, c=colour * 2, marker="|", s=50, linewidths=1.2, zorder=2)


def draw_upright(
    axes: "Axes", results: Sequence[HasInterval], positions: Sequence[float], colours: Sequence[str]
) -> None:
    """Draw each result's interval as a thin, pale vertical bar at its position, behind what else is there."""
    bars = [
        (*one.interval, at, colour) for one, at, colour in zip(results, positions, colours, strict=True) if one.interval
    ]
    if bars:
        low, high, at, colour = map(list, zip(*bars, strict=True))
        axes.vlines(at, low, high, colors=colour, linewidth=1.2, alpha=0.3, zorder=1)

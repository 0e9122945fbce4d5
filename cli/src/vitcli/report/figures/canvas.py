"""An empty picture: its size, its fonts, and its way to a file. matplotlib's object API only, no pyplot and no global state."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = 10.0
# 8 inches at 150 dots: sharp when shown at 800 pixels, where a 10-point letter is 14 pixels high.
WIDTH, _DPI = 8.0, 150
_MARGIN = 0.12
KINDS = (".png", ".svg")


@contextmanager
def canvas(stem: Path, height: float) -> "Iterator[Axes]":
    """Axes to draw on, ``height`` inches high; the picture is saved at the end, as ``canvas_of`` does."""
    with canvas_of(stem, height, 1, 1) as (axes,):
        yield axes


@contextmanager
def canvas_of(stem: Path, height: float, rows: int, columns: int) -> "Iterator[list[Axes]]":
    """Axes in rows and columns; the picture is saved as ``stem``.png and ``stem``.svg at the end, the same bytes on any day."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A name with two dollar signs is no formula, and a letter that the font lacks is a box, not a warning for each time.
    with rc_context({"text.parse_math": False, "svg.hashsalt": "vitcli"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH, height), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        all_axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes in all_axes:
            axes.spines[["top", "right"]].set_visible(False)
        yield all_axes
        for axes in all_axes:
            for label in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
                label.set_fontsize(FONT)
        _save(figure, stem)


def remove(stem: Path) -> None:
    """Delete the picture if it is there."""
    for kind in KINDS:
        stem.with_name(stem.name + kind).unlink(missing_ok=True)


def _save(figure: "Figure", stem: Path) -> None:
    # What sticks out of the figure is measured once, not once for each kind of file.
    box = figure.get_tightbbox(figure.canvas.get_renderer()).padded(_MARGIN)  # type: ignore[attr-defined]
    figure.savefig(stem.with_name(stem.name + ".png"), bbox_inches=box, pil_kwargs={"compress_level": 4})
    figure.savefig(stem.with_name(stem.name + ".svg"), bbox_inches=box, metadata={"Date": None})

"""An empty picture: its size, its fonts, and its way to a file. matplotlib's object API only, no pyplot and no global state."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT = 10.0
# 8 inches at 150 dots: sharp when shown at 800 pixels, where a 10-point letter is 14 pixels high.
_WIDTH, _DPI = 8.0, 150


@contextmanager
def canvas(path: Path, height: float) -> "Iterator[Axes]":
    """Axes to draw on, ``height`` inches high; the picture is saved to ``path`` at the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    for label in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontsize(FONT)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.12)

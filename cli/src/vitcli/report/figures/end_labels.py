"""The names of lines at their right ends, moved apart where lines end close to each other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vitcli.report.figures.arm_style import look
from vitcli.report.figures.canvas import FONT
from vitcli.report.figures.labels import with_seeds
from vitcli.statistics.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def label_lines(curves: Mapping[str, Curve]) -> int:
    """Lines of text that the names of all curves need, if each has as many as the longest."""
    return len(curves) * max(with_seeds(name, curve.n).count("\n") + 1 for name, curve in curves.items())


def label_ends(axes: "Axes", curves: Mapping[str, Curve], order: Mapping[str, int]) -> None:
    """Write each curve's name right of the picture, with its marker, and a thin line from there to its end.

    Args:
        axes: With their final limits.
        curves: Name -> what has been drawn.
        order: Name -> its number among the arms, which decides how it looks.
    """
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    lines = label_lines(curves) / len(curves)
    gap = min((0.06 + 0.155 * lines) / inches, 1 / len(curves)) * (high - low)
    ends = sorted((float(curve.mean[-1]), name) for name, curve in curves.items())
    heights = spread([end for end, _ in ends], gap, (low + gap / 2, high - gap / 2))
    beside = axes.get_yaxis_transform()
    for (end, name), height in zip(ends, heights, strict=True):
        style, curve = look(order[name]), curves[name]
        axes.annotate(
            "", xy=(float(curve.x[-1]), end), xytext=(1.03, height), textcoords=beside, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": style.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        axes.plot([1.03], [height], style.marker, color=style.colour, markersize=6, transform=beside, clip_on=False)
        text = with_seeds(name, curve.n)
        axes.text(1.05, height, text, transform=beside, va="center", fontsize=FONT, linespacing=1.0)


def spread(heights: list[float], gap: float, limits: tuple[float, float]) -> list[float]:
    """Increasing heights, moved apart until neighbours are ``gap`` apart, inside the limits if they fit there."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else max(height, limits[0]))
    ceiling = limits[1]
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed

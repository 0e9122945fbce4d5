"""Names beside points, none over another, over a point or outside of the picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vitcli.report.figures.canvas import FONT
from vitcli.statistics.significance import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AROUND = np.deg2rad([0, 180, 90, 270, 30, 330, 150, 210, 60, 300, 120, 240])
_DISTANCES = (9, 16, 26, 38, 52, 70, 90, 115, 145, 180)
"""From the point, in points of 1/72 inch: the nearest free place is taken."""
_FAR = 20
"""From here on, a line leads from the name to its point."""


def place_labels(axes: "Axes", points: Sequence[tuple[float, float]], names: Sequence[str], obstacles: Floats) -> None:
    """Write each name at the nearest free place to its point; one that finds none is written over others rather than left out.

    Args:
        axes: With their final limits and scales.
        points: In data coordinates, one a name.
        names: In the order in which they may choose.
        obstacles: (n, 2) further points, in data coordinates, that no name may hide.
    """
    figure = axes.figure
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    unit = figure.dpi / 72
    frame = axes.get_window_extent(renderer)
    marks = axes.transData.transform(np.concatenate([np.array(points).reshape(-1, 2), obstacles.reshape(-1, 2)]))
    near = 5 * unit
    taken = [(x - near, y - near, x + near, y + near) for x, y in marks]
    for point, name in zip(points, names, strict=True):
        text = axes.text(*point, name, fontsize=FONT - 1, linespacing=1.0)
        size = text.get_window_extent(renderer)
        at = axes.transData.transform(point)
        box, distance = nearest_free(at, size.width, size.height, taken, (frame.x0, frame.y0, frame.x1, frame.y1), unit)
        taken.append(box)
        text.set(x=box[0], y=box[1], transform=None, va="bottom", ha="left")
        offset = (box[0] - at[0]) / unit, (box[1] - at[1]) / unit
        text.remove()
        line = {
            "arrowstyle": "-",
            "color": "0.6",
            "linewidth": 0.7,
            "shrinkA": 0,
            "shrinkB": 4,
            "relpos": _side(at, box),
        }
        axes.annotate(
            name, point, xytext=offset, textcoords="offset points", fontsize=FONT - 1, linespacing=1.0, va="bottom",
            ha="left", annotation_clip=False, arrowprops=line if distance >= _FAR else None,
        )  # fmt: skip


Box = tuple[float, float, float, float]


def nearest_free(
    at: Floats, width: float, height: float, taken: Sequence[Box], frame: Box, unit: float
) -> tuple[Box, float]:
    """The nearest box of this size around a point that is inside the frame and over nothing taken, and its distance."""
    first: Box | None = None
    for distance in _DISTANCES:
        for angle in _AROUND:
            x, y = at + distance * unit * np.array([np.cos(angle), np.sin(angle)])
            # The box touches that place with the corner or side that looks at the point.
            left = x - width * (0.5 - 0.5 * np.cos(angle))
            bottom = y - height * (0.5 - 0.5 * np.sin(angle))
            box = (float(left), float(bottom), float(left + width), float(bottom + height))
            first = first or box
            inside = frame[0] <= box[0] and box[2] <= frame[2] and frame[1] <= box[1] and box[3] <= frame[3]
            if inside and not any(overlap(box, other) for other in taken):
                return box, distance
    assert first is not None
    return first, 0.0


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _side(at: Floats, box: Box) -> tuple[float, float]:
    """Where in the box, from (0, 0) to (1, 1), the line to the point starts."""
    return tuple(float(np.clip((at[axis] - box[axis]) / max(box[axis + 2] - box[axis], 1e-9), 0, 1)) for axis in (0, 1))  # type: ignore[return-value]

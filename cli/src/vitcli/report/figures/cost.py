"""Figure ``cost``: what each arm reaches against what it costs, and which arms no other beats in both."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitcli.records.ablation import Ablation
from vitcli.report.figures.arm_style import ArmStyle, arm_style
from vitcli.report.figures.canvas import ALONE, FONT, MOST_NUMBERS, WIDTH, canvas_of, draw_upright, fold
from vitcli.report.methods import busy_machine
from vitcli.report.summary import Row, Summary
from vitcli.statistics.pareto import front
from vitcli.statistics.significance import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE = 8
"""Up to this many arms have their names beside their points; of more, only the baseline and those on the front."""
MOST_NAMES = 20
"""Up to this many arms are named; names that are not beside their points are in a legend."""
LATENCY = "latency of one image, ms"
ALIKE = 0.05
"""Costs that differ by less than this part of the smallest are not worth a picture."""
UNNAMED = ArmStyle("0.65", "o", "-")
_KEY_LINE = 0.2
"""Inches of a line in the legend."""

_AROUND = np.deg2rad([0, 180, 90, 270, 30, 330, 150, 210, 60, 300, 120, 240])
_DISTANCES = (9, 16, 26, 38, 52, 70, 90, 115, 145, 180)
"""Distances of a name from its point, in units of 1/72 inch; the nearest free spot is taken."""
_FAR = 20
"""From this distance on, a line leads from the name to its point."""

Box = tuple[float, float, float, float]


def draw_cost(ablation: Ablation, summary: Summary, stem: Path) -> str:
    """Draw the result against multiply-adds and, where it was measured, against latency.

    Returns:
        The caption; it is empty, and nothing is drawn, if no arm has both a result and a cost, or if all cost the same.
    """
    macs = {row.arm: row.macs for row in summary.rows if row.macs is not None}
    unit, size = ("GMACs", 1e9) if max(macs.values(), default=0) >= 1e8 else ("million MACs", 1e6)
    costs = {
        f"{unit} of one image": {arm: count / size for arm, count in macs.items()},
        LATENCY: {row.arm: row.speed.latency_ms for row in summary.rows if row.speed is not None},
    }
    found = {label: points for label, cost in costs.items() if (points := _points(summary, cost))}
    panels = {label: points for label, points in found.items() if _differ(points)}
    if not panels:
        return ""
    fronts = {label: front(points, summary.metric.direction) for label, points in panels.items()}
    arms = [row.arm for row in summary.rows if any(row.arm in points for points in panels.values())]
    beside = {summary.baseline, *(arm for best in fronts.values() for arm in best)} if len(arms) > BESIDE else set(arms)
    key = [arm for arm in arms if arm not in beside] if len(arms) <= MOST_NAMES else []
    width = WIDTH if key else ALONE
    with canvas_of(stem, max(3.6 * len(panels), 1.4 + _KEY_LINE * _lines(key)), len(panels), width=width) as all_axes:
        all_axes[0].figure.subplots_adjust(hspace=0.25)
        for axes, (label, points) in zip(all_axes, panels.items(), strict=True):
            _panel(axes, summary, points, fronts[label], beside)
            axes.set_xlabel(label)
            axes.set_ylabel(f"{summary.metric.name}, mean over seeds")
        if key:
            _write_key(all_axes[0], key, [row.arm for row in summary.rows])
    return (
        "Result against cost: mean and 95 % t-interval over n seeds. Filled markers on the line are the front: no other arm is "
        "both cheaper and better in the mean; open markers are behind it. The front does not account for the intervals."
        + (" Only the arms on the front and the baseline are named." if len(arms) > MOST_NAMES else "")
        + "".join(
            f" Not drawn: {label}, which differs by less than {ALIKE:.0%}." for label in found if label not in panels
        )
        + (f" {busy}" if (busy := busy_machine(ablation)) and LATENCY in panels else "")
    )


def _differ(points: dict[str, tuple[float, float]]) -> bool:
    """Whether the costs of some arms are apart; an axis over less than that would make much of nothing."""
    costs = [cost for cost, _ in points.values()]
    return len(costs) == 1 or max(costs) > (1 + ALIKE) * min(costs)


def _lines(names: list[str]) -> int:
    return sum(fold(name).count("\n") + 1 for name in names)


def _points(summary: Summary, costs: dict[str, float]) -> dict[str, tuple[float, float]]:
    rows = [(row.arm, row.result.mean) for row in summary.rows]
    return {arm: (costs[arm], mean) for arm, mean in rows if arm in costs and mean is not None}


def _panel(
    axes: "Axes", summary: Summary, points: dict[str, tuple[float, float]], best: list[str], beside: set[str]
) -> None:
    rows = [row for row in summary.rows if row.arm in points]
    order = [row.arm for row in summary.rows]
    many = len(rows) > MOST_NAMES
    styles = [UNNAMED if many and row.arm not in beside else arm_style(order.index(row.arm)) for row in rows]
    for row, style in zip(rows, styles, strict=True):
        x, y = points[row.arm]
        axes.plot(
            x, y, style.marker, color=style.colour, markersize=8, zorder=3,
            markerfacecolor=style.colour if row.arm in best else "white", markeredgewidth=1.5,
        )  # fmt: skip
    across = [points[row.arm][0] for row in rows]
    draw_upright(axes, [row.result for row in rows], across, [style.colour for style in styles])
    steps = np.array([points[name] for name in best])
    axes.plot(steps[:, 0], steps[:, 1], drawstyle="steps-post", color="0.4", linewidth=1.2, zorder=1)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    _limits(axes, rows, across)
    # The names on the front choose their spots first.
    named = sorted((row.arm for row in rows if row.arm in beside), key=lambda name: name not in best)
    others = np.array([*[point for name, point in points.items() if name not in named], *_along(steps)]).reshape(-1, 2)
    labels = [fold(f"{name} (baseline)" if name == summary.baseline else name, 26) for name in named]
    place_labels(axes, [points[name] for name in named], labels, others)


def _write_key(axes: "Axes", arms: list[str], order: list[str]) -> None:
    """Name the arms right of the picture, by their markers."""
    from matplotlib.lines import Line2D

    marks = []
    for arm in arms:
        style = arm_style(order.index(arm))
        marks.append(
            Line2D([], [], color=style.colour, marker=style.marker, linestyle="", markersize=8, mfc="white", mew=1.5)
        )
    axes.legend(
        marks, [fold(arm) for arm in arms], loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=FONT - 1,
        handletextpad=0.3,
    )  # fmt: skip


def _along(steps: Floats) -> Iterator[Floats]:
    """Yield points on the line of the front, so close that no name fits between two."""
    for (x, y), (next_x, next_y) in pairwise(steps):
        for share in np.linspace(0, 1, 60):
            yield np.array([x + share * (next_x - x), y])
            yield np.array([next_x, y + share * (next_y - y)])


def _limits(axes: "Axes", rows: list[Row], costs: list[float]) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

    if min(costs) > 0 and max(costs) > 10 * min(costs):
        axes.set_xscale("log")
        axes.set_xlim(min(costs) / 1.6, max(costs) * 2.2)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        margin = 0.12 * (max(costs) - min(costs)) or 0.1 * abs(costs[0]) or 1.0
        axes.set_xlim(min(costs) - margin, max(costs) + 2 * margin)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_NUMBERS))
    means = [row.result.mean or 0.0 for row in rows]
    # Intervals of two seeds can be ten times as wide as the arms are apart; they are cut at one such distance.
    reach = (max(means) - min(means)) or 0.02 * abs(means[0]) or 0.01
    ends = [row.result.interval or (row.result.mean or 0.0,) * 2 for row in rows]
    low = max(min(end[0] for end in ends), min(means) - reach)
    high = min(max(end[1] for end in ends), max(means) + reach)
    axes.set_ylim(low - 0.15 * reach, high + 0.15 * reach)


def place_labels(axes: "Axes", points: Sequence[tuple[float, float]], names: Sequence[str], obstacles: Floats) -> None:
    """Write each name at the free spot nearest to its point; a name without a free spot overlaps others.

    Args:
        axes: With their final limits and scales.
        points: One per name, in data coordinates.
        names: In the order in which they choose their spots.
        obstacles: (n, 2) further points that no name may hide, in data coordinates.
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


def nearest_free(
    at: Floats, width: float, height: float, taken: Sequence[Box], frame: Box, unit: float
) -> tuple[Box, float]:
    """Return the nearest box of this size around a point that is inside the frame and overlaps nothing, and its distance."""
    first: Box | None = None
    for distance in _DISTANCES:
        for angle in _AROUND:
            x, y = at + distance * unit * np.array([np.cos(angle), np.sin(angle)])
            # The box touches that position with the corner or side that faces the point.
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
    """Return where in the box, from (0, 0) to (1, 1), the line to the point starts."""
    return tuple(float(np.clip((at[axis] - box[axis]) / max(box[axis + 2] - box[axis], 1e-9), 0, 1)) for axis in (0, 1))  # type: ignore[return-value]

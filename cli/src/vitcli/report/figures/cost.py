"""Figure ``cost``: what each arm reaches against what it costs, and which arms no other beats in both."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitcli.records.ablation import Ablation
from vitcli.report.figures.arm_style import Look, look
from vitcli.report.figures.canvas import FONT, canvas_of
from vitcli.report.figures.intervals import draw_upright
from vitcli.report.figures.labels import fold
from vitcli.report.figures.place_labels import place_labels
from vitcli.report.summary import Row, Summary
from vitcli.statistics.pareto import front
from vitcli.statistics.significance import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BESIDE = 8
"""Up to so many arms have their names beside their points; of more, only those on the front and the baseline."""
MOST_NAMES = 20
"""Up to so many arms have their names, those that are not beside their points in a key."""
UNNAMED = Look("0.65", "o", "-")


def draw_cost(ablation: Ablation, summary: Summary, stem: Path) -> str:
    """Draw the result against multiply-adds and, where it was measured, against latency.

    Returns:
        The caption; empty, and nothing is drawn, if no arm has both a result and a cost.
    """
    macs = {row.arm: row.macs for row in summary.rows if row.macs is not None}
    unit, size = ("GMACs", 1e9) if max(macs.values(), default=0) >= 1e8 else ("million MACs", 1e6)
    costs = {
        f"{unit} of one image": {arm: count / size for arm, count in macs.items()},
        "latency of one image, ms": {row.arm: row.speed.latency_ms for row in summary.rows if row.speed is not None},
    }
    panels = {label: points for label, cost in costs.items() if (points := _points(summary, cost))}
    if not panels:
        return ""
    fronts = {label: front(points, summary.metric.direction) for label, points in panels.items()}
    arms = [row.arm for row in summary.rows if any(row.arm in points for points in panels.values())]
    beside = {summary.baseline, *(arm for best in fronts.values() for arm in best)} if len(arms) > BESIDE else set(arms)
    key = [arm for arm in arms if arm not in beside] if len(arms) <= MOST_NAMES else []
    with canvas_of(stem, max(4.6 * len(panels), 1.4 + _KEY_LINE * _lines(key)), len(panels), 1) as all_axes:
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
    )


_KEY_LINE = 0.2
"""Inches of a line in the key."""


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
    styles = [UNNAMED if many and row.arm not in beside else look(order.index(row.arm)) for row in rows]
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
    # The front chooses its places first.
    named = sorted((row.arm for row in rows if row.arm in beside), key=lambda name: name not in best)
    others = np.array([*[point for name, point in points.items() if name not in named], *_along(steps)]).reshape(-1, 2)
    labels = [fold(f"{name} (baseline)" if name == summary.baseline else name, 26) for name in named]
    place_labels(axes, [points[name] for name in named], labels, others)


def _write_key(axes: "Axes", arms: list[str], order: list[str]) -> None:
    """Name the arms right of the picture, by their markers."""
    from matplotlib.lines import Line2D

    marks = []
    for arm in arms:
        style = look(order.index(arm))
        marks.append(
            Line2D([], [], color=style.colour, marker=style.marker, linestyle="", markersize=8, mfc="white", mew=1.5)
        )
    axes.legend(
        marks, [fold(arm) for arm in arms], loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=FONT - 1,
        handletextpad=0.3,
    )  # fmt: skip


def _along(steps: Floats) -> Iterator[Floats]:
    """Points on the line of the front, close enough that no name fits between two."""
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
        axes.xaxis.set_major_locator(MaxNLocator(6))
    means = [row.result.mean or 0.0 for row in rows]
    # Intervals of two seeds can be ten times as wide as the arms are apart; they are cut at one such distance.
    reach = (max(means) - min(means)) or 0.02 * abs(means[0]) or 0.01
    ends = [row.result.interval or (row.result.mean or 0.0,) * 2 for row in rows]
    low = max(min(end[0] for end in ends), min(means) - reach)
    high = min(max(end[1] for end in ends), max(means) + reach)
    axes.set_ylim(low - 0.15 * reach, high + 0.15 * reach)

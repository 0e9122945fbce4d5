"""Intervals as bars with caps, all of a picture in two artists: fifty error bars one by one take a second to draw."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vitcli.statistics.comparison import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_across(axes: "Axes", results: Sequence[Estimate], heights: Sequence[float], colours: Sequence[str]) -> None:
    """Draw each result's interval as a horizontal bar at its height; one without an interval draws nothing."""
    bars = [
        (*one.interval, at, colour) for one, at, colour in zip(results, heights, colours, strict=True) if one.interval
    ]
    if not bars:
        return
    low, high, at, colour = map(list, zip(*bars, strict=True))
    axes.hlines(at, low, high, colors=colour, linewidth=2, zorder=2)
    axes.scatter([*low, *high], at * 2, c=colour * 2, marker="|", s=50, linewidths=1.2, zorder=2)


def draw_upright(axes: "Axes", results: Sequence[Estimate], places: Sequence[float], colours: Sequence[str]) -> None:
    """Draw each result's interval as a thin, pale vertical bar at its place, behind what else is there."""
    bars = [
        (*one.interval, at, colour) for one, at, colour in zip(results, places, colours, strict=True) if one.interval
    ]
    if bars:
        low, high, at, colour = map(list, zip(*bars, strict=True))
        axes.vlines(at, low, high, colors=colour, linewidth=1.2, alpha=0.3, zorder=1)

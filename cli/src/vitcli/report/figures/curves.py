"""Figure ``curves``: validation during training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vitcli.records.ablation import Ablation
from vitcli.records.metrics import read_arm_series
from vitcli.report.figures.arm_style import arm_style
from vitcli.report.figures.canvas import FONT, canvas_of, with_seeds
from vitcli.report.summary import Summary
from vitcli.statistics.curves import Curve, mean_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BANDS = 8
"""With more arms than this, bands would hide each other: only the baseline and the arm that ends best have one."""
MOST_NAMES = 20
"""With more arms than this, only the baseline and the ten that end best have a name; the others are thin and grey."""


TRAINING = "train/loss"
FEWEST = 2
"""Points of a curve that says something."""
LONG = 6
"""Points of a curve whose second half has a panel of its own."""
EARLY = 1.8
"""Inches of the panel that shows the whole training."""


def draw_curves(ablation: Ablation, summary: Summary, stem: Path) -> str:
    """Draw the mean over seeds of each arm's validation metric, with its interval as a band: all of it, and its second half.

    Where there are fewer than two validations, the training loss is drawn.

    Returns:
        The caption; it is empty, and nothing is drawn, if there is no curve yet.
    """
    found = {arm.name: mean_curves(read_arm_series(arm, "epoch")) for arm in ablation.arms}
    names = {"val/" + summary.metric.name.rsplit("/", 1)[-1]: summary.metric.sign, TRAINING: -1}
    for name, sign in names.items():
        curves = {arm: named[name] for arm, named in found.items() if name in named and len(named[name].x) >= FEWEST}
        if curves:
            _draw_all(ablation, name, sign, curves, stem)
            return _caption(name, len(curves), len(_panels(curves)))
    return ""


def _draw_all(ablation: Ablation, name: str, sign: int, curves: dict[str, Curve], stem: Path) -> None:
    baseline = ablation.baseline
    best = sorted(curves, key=lambda arm: -sign * float(curves[arm].mean[-1]))
    named = {*best[:10], baseline} if len(curves) > MOST_NAMES else set(curves)
    banded = {best[0], baseline} if len(curves) > MOST_BANDS else set(curves)
    order = {arm.name: number for number, arm in enumerate(ablation.arms) if arm.name in named & curves.keys()}
    shown = {arm: curves[arm] for arm in order}
    panels = _panels(curves)
    height = max(3.4, 1.0 + 0.2 * label_lines(shown))
    total, parts = height + (EARLY if len(panels) > 1 else 0), (EARLY, height)[-len(panels) :]
    with canvas_of(stem, total, len(panels), parts) as every:
        for axes, limit in zip(every, panels, strict=True):
            for arm in curves.keys() - named:
                axes.plot(curves[arm].x, curves[arm].mean, color="0.75", linewidth=0.8, zorder=1)
            _draw(axes, shown, order, banded)
            limit(axes, list(shown.values()))
            axes.set_ylabel(f"{name}, mean over seeds" if axes is every[-1] else name)
        every[-1].set_xlabel("epoch")
        label_ends(every[-1], shown, order)


def _panels(curves: Mapping[str, Curve]) -> list[Callable[["Axes", list[Curve]], None]]:
    """Return how the panels are scaled; the second half of a short training has too few points for a panel of its own."""
    return [_whole, _zoom] if max(len(curve.x) for curve in curves.values()) >= LONG else [_whole]


def _whole(axes: "Axes", curves: list[Curve]) -> None:
    first, last = min(float(c.x[0]) for c in curves), max(float(c.x[-1]) for c in curves)
    axes.set_xlim(first - 0.03 * (last - first), last + 0.03 * (last - first))


def _caption(name: str, arms: int, panels: int) -> str:
    some = "" if arms <= MOST_BANDS else " (only for the baseline and the arm that ends best)"
    named = (
        ""
        if arms <= MOST_NAMES
        else " Only the baseline and the ten arms that end best are named; the others are grey."
    )
    what = "Training loss, since there were few validations" if name == TRAINING else "Validation"
    half = "; above the whole training, below its second half" if panels > 1 else ""
    return f"{what}: mean over n seeds with its 95 % t-interval as a band{some}{half}.{named}"


def _draw(axes: "Axes", curves: dict[str, Curve], order: dict[str, int], banded: set[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    for name, curve in curves.items():
        style, every = arm_style(order[name]), max(len(curve.x) // 5, 1)
        axes.plot(
            curve.x, curve.mean, color=style.colour, linestyle=style.line, linewidth=1.6, marker=style.marker,
            markersize=5, markevery=(order[name] % every, every), zorder=2,
        )  # fmt: skip
        if name in banded:
            axes.fill_between(curve.x, *curve.band, color=style.colour, alpha=0.12, linewidth=0, zorder=0)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _zoom(axes: "Axes", curves: list[Curve]) -> None:
    late = [curve.x >= (curve.x[0] + curve.x[-1]) / 2 for curve in curves]
    bottom = min(float(curve.mean[x].min()) for curve, x in zip(curves, late, strict=True))
    top = max(float(curve.mean[x].max()) for curve, x in zip(curves, late, strict=True))
    # Bands of two seeds can be ten times as wide as the lines are apart; they are cut at one such distance.
    reach = (top - bottom) or 0.02 * abs(top) or 0.01
    low = max(min(float(c.band[0][x].min()) for c, x in zip(curves, late, strict=True)), bottom - reach)
    high = min(max(float(c.band[1][x].max()) for c, x in zip(curves, late, strict=True)), top + reach)
    axes.set_ylim(low - 0.05 * reach, high + 0.05 * reach)
    first, last = (
        min(float(curve.x[x][0]) for curve, x in zip(curves, late, strict=True)),
        max(float(c.x[-1]) for c in curves),
    )
    padding = 0.03 * (last - first) or 0.5
    axes.set_xlim(first - padding, last + padding)


def label_lines(curves: Mapping[str, Curve]) -> int:
    """Return how many lines of text the names of all curves need if each takes as many as the longest."""
    return len(curves) * max(with_seeds(name, curve.n).count("\n") + 1 for name, curve in curves.items())


def label_ends(axes: "Axes", curves: Mapping[str, Curve], order: Mapping[str, int]) -> None:
    """Write each curve's name right of the picture, with its marker, and a thin line from there to its end.

    Args:
        axes: With their final limits.
        curves: Name -> what has been drawn.
        order: Name -> its number among the arms, which decides its style.
    """
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    lines = label_lines(curves) / len(curves)
    gap = min((0.06 + 0.155 * lines) / inches, 1 / len(curves)) * (high - low)
    ends = sorted((float(curve.mean[-1]), name) for name, curve in curves.items())
    heights = spread([end for end, _ in ends], gap, (low + gap / 2, high - gap / 2))
    beside = axes.get_yaxis_transform()
    for (end, name), height in zip(ends, heights, strict=True):
        style, curve = arm_style(order[name]), curves[name]
        axes.annotate(
            "", xy=(float(curve.x[-1]), end), xytext=(1.06, height), textcoords=beside, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": style.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        axes.plot([1.06], [height], style.marker, color=style.colour, markersize=6, transform=beside, clip_on=False)
        text = with_seeds(name, curve.n)
        axes.text(1.1, height, text, transform=beside, va="center", fontsize=FONT, linespacing=1.0)


def spread(heights: list[float], gap: float, limits: tuple[float, float]) -> list[float]:
    """Return increasing heights, moved apart until neighbours are ``gap`` apart, and inside the limits if they fit."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else max(height, limits[0]))
    ceiling = limits[1]
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed

"""curves.png: validation during training."""

from pathlib import Path
from typing import TYPE_CHECKING

from vitcli.report.canvas import FONT, canvas
from vitcli.report.curves import Curve, mean_curves
from vitcli.report.looks import look
from vitcli.report.records import Ablation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = "curves.png"


def write_curves(ablation: Ablation) -> list[Path]:
    """Draw the mean over seeds of each arm's validation metric, with its interval as a band.

    Returns:
        The file in the ablation's directory; nothing, and no file left there, if there is no curve yet.
    """
    path, name = ablation.directory / CURVES, "val/" + ablation.metric.name.rsplit("/", 1)[-1]
    found = {arm.name: mean_curves(arm, "epoch") for arm in ablation.arms}
    curves = {arm: named[name] for arm, named in found.items() if name in named}
    if not curves:
        path.unlink(missing_ok=True)
        return []
    with canvas(path, max(4.2, 1.0 + 0.27 * len(curves))) as axes:
        _draw(axes, curves, [arm.name for arm in ablation.arms])
        axes.set_ylabel(f"{name}, mean over seeds")
    return [path]


def _draw(axes: "Axes", curves: dict[str, Curve], order: list[str]) -> None:
    """One line per arm with its band, labelled at its right end, scaled to the second half of training."""
    from matplotlib.ticker import MaxNLocator

    for name, curve in curves.items():
        style, every = look(order.index(name)), max(len(curve.x) // 5, 1)
        axes.plot(
            curve.x, curve.mean, color=style.colour, linestyle=style.line, linewidth=1.6, marker=style.marker,
            markersize=5, markevery=(order.index(name) % every, every),
        )  # fmt: skip
        low, high = curve.band
        axes.fill_between(curve.x, low, high, color=style.colour, alpha=min(0.12, 0.6 / len(curves)), linewidth=0)
    _zoom(axes, list(curves.values()))
    axes.grid(color="0.92")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    _label_ends(axes, curves, order)


def _zoom(axes: "Axes", curves: list[Curve]) -> None:
    # The steep rise at the start would leave no room for the differences that the picture is about.
    late = [curve.x >= (curve.x[0] + curve.x[-1]) / 2 for curve in curves]
    bottom = min(float(curve.mean[x].min()) for curve, x in zip(curves, late, strict=True))
    top = max(float(curve.mean[x].max()) for curve, x in zip(curves, late, strict=True))
    # Bands of two seeds can be ten times as wide as the lines are apart; they are cut at one such distance.
    reach = (top - bottom) or 0.02 * abs(top) or 0.01
    low = max(min(float(c.band[0][x].min()) for c, x in zip(curves, late, strict=True)), bottom - reach)
    high = min(max(float(c.band[1][x].max()) for c, x in zip(curves, late, strict=True)), top + reach)
    axes.set_ylim(low - 0.05 * reach, high + 0.05 * reach)
    seen = [curve.x[(curve.band[0] <= high) & (curve.band[1] >= low)] for curve in curves]
    first, last = min(float(x[0]) for x in seen), max(float(x[-1]) for x in seen)
    padding = 0.03 * (last - first) or 0.5
    axes.set_xlim(first - padding, last + padding)


def _label_ends(axes: "Axes", curves: dict[str, Curve], order: list[str]) -> None:
    low, high = axes.get_ylim()
    gap = min(0.062, 1 / len(curves)) * (high - low)
    ends = sorted((float(curve.mean[-1]), name) for name, curve in curves.items())
    heights = spread([end for end, _ in ends], gap, (low + gap / 2, high - gap / 2))
    beside = axes.get_yaxis_transform()
    for (end, name), height in zip(ends, heights, strict=True):
        style, curve = look(order.index(name)), curves[name]
        axes.annotate(
            "", xy=(float(curve.x[-1]), end), xytext=(1.03, height), textcoords=beside, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": style.colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        axes.plot([1.03], [height], style.marker, color=style.colour, markersize=6, transform=beside, clip_on=False)
        axes.text(1.05, height, f"{name} (n = {curve.n})", transform=beside, va="center", fontsize=FONT)


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

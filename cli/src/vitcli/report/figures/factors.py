"""Figure ``factors``: what each factor's levels do."""

from pathlib import Path
from typing import TYPE_CHECKING

from vitcli.records.ablation import Ablation
from vitcli.report.figures.arm_style import arm_style
from vitcli.report.figures.canvas import ALONE, FONT, canvas_of, fold
from vitcli.report.summary import Summary
from vitcli.statistics.effects import Effect, effects

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL, _LINE = 2.8, 0.17
"""Inches: the height of a panel, and the distance between two lines of text."""


def draw_factors(ablation: Ablation, summary: Summary, stem: Path) -> str:
    """Draw one panel per factor: its levels from left to right, one line for each combination of the other factors.

    Returns:
        The caption; it is empty, and nothing is drawn, if the arms do not come from factors.
    """
    values = {arm.name: arm.values(ablation.metric.name) for arm in ablation.arms}
    found = effects(values, ablation.levels)
    if not found:
        return ""
    below = max(_ticks(effect) + _key(effect) for effect in found) + 0.2
    above = max(_title(effect).count("\n") + 1 for effect in found) * _LINE + 0.15
    height = len(found) * (_PANEL + below + above)
    with canvas_of(stem, height, len(found), width=ALONE) as all_axes:
        room = (below + above) / _PANEL
        all_axes[0].figure.subplots_adjust(0, below / height, 1, 1 - above / height, hspace=room)
        for axes, effect in zip(all_axes, found, strict=True):
            _panel(axes, effect)
            axes.set_ylabel(summary.metric.name)
        limits = [axes.get_ylim() for axes in all_axes]
        for axes in all_axes:
            axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    return (
        "The levels of each factor, with mean and 95 % t-interval over n seeds; one line for each combination of the other "
        "factors or, if there are many, their average. Lines that are not parallel indicate factors that interact."
    )


def _panel(axes: "Axes", effect: Effect) -> None:
    at = {level: number for number, level in enumerate(effect.levels)}
    count = len(effect.lines)
    for index, line in enumerate(effect.lines):
        style = arm_style(index)
        # Side by side, so that intervals do not lie on each other.
        shift = 0.3 * ((index + 0.5) / count - 0.5)
        axes.errorbar(
            [at[level] + shift for level in line.levels], [result.mean or 0.0 for result in line.levels.values()],
            yerr=[result.half_width or 0.0 for result in line.levels.values()], color=style.colour, marker=style.marker,
            linestyle=style.line, linewidth=1.5, markersize=6, capsize=3, elinewidth=1, label=fold(line.name, 36),
        )  # fmt: skip
    axes.set_xticks(range(len(at)), _level_names(effect))
    axes.set_xlim(-0.4, len(at) - 0.6)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.set_title(_title(effect), fontsize=FONT, loc="left")
    if _key(effect):
        axes.legend(
            loc="upper left", bbox_to_anchor=(-0.02, -_ticks(effect) / _PANEL), frameon=False, fontsize=FONT - 1,
            handlelength=2.6, borderaxespad=0, title=f"{effect.held}:", title_fontsize=FONT - 1, alignment="left",
        )  # fmt: skip


def _title(effect: Effect) -> str:
    averaged = effect.held and not _key(effect)
    return fold(f"{effect.factor} ({effect.held})" if averaged else effect.factor, 44)


def _level_names(effect: Effect) -> list[str]:
    return [fold(level, max(6, 36 // len(effect.levels))) for level in effect.levels]


def _ticks(effect: Effect) -> float:
    """Return the inches that the names of the levels take below the panel."""
    return 0.15 + _LINE * max(name.count("\n") + 1 for name in _level_names(effect))


def _key(effect: Effect) -> float:
    """Return the inches that the legend takes below the panel; 0 if there is a single line without a name."""
    names = [fold(line.name, 36) for line in effect.lines if line.name]
    return 0.3 + sum(0.03 + _LINE * (name.count("\n") + 1) for name in names) if names else 0.0

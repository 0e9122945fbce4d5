"""Figure ``arms``: the result of every arm and every seed."""

from pathlib import Path

from vitcli.records.ablation import Ablation
from vitcli.report import numbers
from vitcli.report.figures.arm_style import arm_style
from vitcli.report.figures.canvas import FONT, canvas, draw_across, heights, with_seeds
from vitcli.report.summary import Summary


def draw_arms(ablation: Ablation, summary: Summary, stem: Path) -> str:
    """Draw one line per arm, the first on top: a light dot per seed, the mean with its interval, the numbers at the right.

    Returns:
        The caption; it is empty, and nothing is drawn, if there is no number yet.
    """
    if not any(row.result.n for row in summary.rows):
        return ""
    names = [with_seeds(row.arm, row.result.n) for row in summary.rows]
    middles, total = heights(names)
    with canvas(stem, 1.1 + total) as axes:
        decimals = numbers.decimals(summary)
        reference = summary.row(summary.baseline).result.mean
        if reference is not None:
            axes.axvline(reference, color="0.35", linestyle=(0, (4, 3)), linewidth=1, zorder=0)
        for index, (row, middle) in enumerate(zip(summary.rows, middles, strict=True)):
            style = arm_style(index)
            values = list(ablation.arm(row.arm).values(summary.metric.name).values())
            # The dots lie a little above and the mean below the row's centre, so that neither hides the other.
            axes.plot(values, [middle - 0.07] * len(values), "o", color=style.colour, alpha=0.35, markersize=5, mew=0)
            if row.result.mean is not None:
                axes.plot(row.result.mean, middle + 0.05, style.marker, color=style.colour, markersize=6, zorder=3)
            text = numbers.with_half_width(row.result, decimals)
            axes.text(1.015, middle, text, transform=axes.get_yaxis_transform(), va="center", fontsize=FONT)
        colours = [arm_style(index).colour for index in range(len(summary.rows))]
        draw_across(axes, [row.result for row in summary.rows], [middle + 0.05 for middle in middles], colours)
        axes.set_yticks(middles, names)
        axes.set_ylim(total, 0)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="0.92")
        axes.set_xlabel(
            f"{summary.metric.name}: seeds, mean and 95 % t-interval over n seeds; dashed: mean of {summary.baseline}"
        )
    return "Dots: seeds; markers: means with their 95 % t-interval over n seeds; dashed line: the baseline's mean."

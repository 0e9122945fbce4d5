"""Figure ``differences``: how each arm differs from the baseline, seed by seed."""

from pathlib import Path

from vitcli.records.ablation import Ablation
from vitcli.report import numbers
from vitcli.report.figures.canvas import FONT, canvas, draw_across, heights, with_seeds
from vitcli.report.summary import Summary
from vitcli.statistics.comparison import Verdict

# The shape is enough; the colour repeats it for readers who see colours.
MARKS: dict[Verdict, tuple[str, str]] = {
    "better": ("^", "#0072B2"),
    "worse": ("v", "#D55E00"),
    "no evidence": ("o", "0.35"),
    "not compared": ("x", "0.35"),
}


def draw_differences(ablation: Ablation, summary: Summary, stem: Path) -> str:
    """Draw one line per arm: a dot for each shared seed, the mean difference with its interval, and the verdict.

    Returns:
        The caption; it is empty, and nothing is drawn, if no arm shares a seed with the baseline.
    """
    found = [(row, row.comparison) for row in summary.rows if row.comparison and row.comparison.seeds]
    if not found:
        return ""
    metric, decimals = summary.metric.name, numbers.decimals(summary)
    base = ablation.arm(summary.baseline).values(metric)
    names = [with_seeds(row.arm, comparison.difference.n) for row, comparison in found]
    middles, total = heights(names)
    with canvas(stem, 1.1 + total) as axes:
        axes.axvline(0, color="0.35", linewidth=1.2, zorder=1)
        for (row, comparison), middle in zip(found, middles, strict=True):
            marker, colour = MARKS[comparison.verdict]
            values = ablation.arm(row.arm).values(metric)
            dots = [values[seed] - base[seed] for seed in comparison.seeds]
            axes.plot(dots, [middle - 0.07] * len(dots), "o", color=colour, alpha=0.35, markersize=5, mew=0)
            axes.plot(comparison.difference.mean or 0.0, middle + 0.05, marker, color=colour, markersize=8, zorder=3)
            text = f"{numbers.signed_with_half_width(comparison.difference, decimals)}  {comparison.verdict}"
            axes.text(1.015, middle, text, transform=axes.get_yaxis_transform(), va="center", fontsize=FONT)
        draw_across(
            axes, [comparison.difference for _, comparison in found], [middle + 0.05 for middle in middles],
            [MARKS[comparison.verdict][1] for _, comparison in found],
        )  # fmt: skip
        axes.set_yticks(middles, names)
        axes.set_ylim(total, 0)
        axes.margins(x=0.06)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="0.92")
        better = "right" if summary.metric.direction == "max" else "left"
        axes.set_xlabel(f"difference in {metric} from {summary.baseline}, seed by seed (better is to the {better})")
    return (
        f"Difference from {summary.baseline}: one dot per shared seed, the mean and its 95 % t-interval (for this comparison "
        "alone). Triangle up: better, triangle down: worse, circle: no evidence (Holm-corrected), cross: not compared."
    )

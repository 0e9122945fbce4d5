"""Figure ``differences``: how each arm differs from the baseline, with the intervals that hold jointly."""

from pathlib import Path

from vitcli.records.ablation import Ablation
from vitcli.report import numbers
from vitcli.report.figures.canvas import FONT, canvas, draw_across, heights, with_seeds
from vitcli.report.summary import Summary
from vitcli.statistics.against_baseline import Difference, Verdict

# The shape is enough; the colour repeats it for readers who see colours. What is equivalent as well is hollow.
MARKS: dict[Verdict, tuple[str, str, bool]] = {
    "better": ("^", "#0072B2", True),
    "worse": ("v", "#D55E00", True),
    "better and equivalent": ("^", "#0072B2", False),
    "worse and equivalent": ("v", "#D55E00", False),
    "equivalent": ("s", "#009E73", False),
    "open": ("o", "0.35", True),
    "not compared": ("x", "0.35", True),
}
"""Marker, colour, and whether the marker is filled."""


def draw_differences(ablation: Ablation, summary: Summary, stem: Path) -> str:
    """Draw one line per arm: a dot for each seed, the difference with its simultaneous interval, and the verdict.

    Where pairs are compared a dot is the difference of one pair; where means are, it is one seed of the arm against the mean of
    the baseline, because its seeds have no partners.

    Returns:
        The caption; it is empty, and nothing is drawn, if no arm can be set against the baseline.
    """
    found = [(row, row.difference) for row in summary.rows if row.difference and row.difference.value is not None]
    if not found:
        return ""
    metric, decimals = summary.metric.name, numbers.decimals(summary)
    names = [with_seeds(row.arm, len(one.arm_seeds)) for row, one in found]
    middles, total = heights(names)
    with canvas(stem, 1.1 + total) as axes:
        if summary.margin is not None:
            axes.axvspan(-summary.margin, summary.margin, color="0.92", zorder=0)
        axes.axvline(0, color="0.35", linewidth=1.2, zorder=1)
        for (row, one), middle in zip(found, middles, strict=True):
            marker, colour, filled = MARKS[one.verdict]
            dots = _dots(ablation, summary, row.arm, one)
            axes.plot(dots, [middle - 0.07] * len(dots), "o", color=colour, alpha=0.35, markersize=5, mew=0)
            face = colour if filled else "white"
            axes.plot(
                one.value or 0.0, middle + 0.05, marker, color=colour, markerfacecolor=face, markersize=8, zorder=3
            )
            text = f"{numbers.short_difference(one, decimals)}\n{row.outcome}"
            axes.text(1.015, middle, text, transform=axes.get_yaxis_transform(), va="center", fontsize=FONT)
        draw_across(
            axes, [one for _, one in found], [middle + 0.05 for middle in middles],
            [MARKS[one.verdict][1] for _, one in found],
        )  # fmt: skip
        axes.set_yticks(middles, names)
        axes.set_ylim(total, 0)
        axes.margins(x=0.06)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="0.92")
        better = "right" if summary.metric.direction == "max" else "left"
        axes.set_xlabel(f"difference in {metric} from {summary.baseline}\n(better is to the {better})")
    return _caption(summary, [one for _, one in found])


def _dots(ablation: Ablation, summary: Summary, arm: str, one: Difference) -> list[float]:
    metric = summary.metric.name
    values, base = ablation.arm(arm).values(metric), ablation.arm(summary.baseline).values(metric)
    if one.in_pairs:
        return [values[seed] - base[seed] for seed in one.arm_seeds if seed in base]
    middle = sum(base[seed] for seed in one.baseline_seeds) / len(one.baseline_seeds)
    return [values[seed] - middle for seed in one.arm_seeds]


def _caption(summary: Summary, found: list[Difference]) -> str:
    kinds = {True: "the difference of one pair of seeds", False: "one seed of the arm against the baseline's mean"}
    dots = ", or ".join(kinds[in_pairs] for in_pairs in sorted({one.in_pairs for one in found}, reverse=True))
    margin = "" if summary.margin is None else f" The grey band is the margin of {summary.margin:g}."
    hollow = "" if summary.margin is None else " square: equivalent, hollow triangle: equivalent as well,"
    return (
        f"Difference from {summary.baseline} with the 95 % intervals that hold for all arms at once; a dot is {dots}.{margin} "
        f"Triangle up: better, triangle down: worse,{hollow} circle: open, cross: not compared."
    )

"""arms.png: the result of every arm and every seed."""

from pathlib import Path

from vitcli.report import numbers
from vitcli.report.canvas import FONT, canvas
from vitcli.report.looks import look
from vitcli.report.records import Ablation
from vitcli.report.summary import Summary

ARMS = "arms.png"


def write_arms(ablation: Ablation, summary: Summary) -> list[Path]:
    """Draw one line per arm, the first on top: a light dot per seed, the mean with its interval, the numbers at the right.

    Returns:
        The file in the ablation's directory; nothing, and no file left there, if there is no number yet.
    """
    path = ablation.directory / ARMS
    if not any(row.result.n for row in summary.rows):
        path.unlink(missing_ok=True)
        return []
    with canvas(path, 1.1 + 0.42 * len(summary.rows)) as axes:
        places = numbers.decimals(summary)
        reference = summary.row(summary.baseline).result.mean
        if reference is not None:
            axes.axvline(reference, color="0.35", linestyle=(0, (4, 3)), linewidth=1, zorder=0)
        for index, row in enumerate(summary.rows):
            style = look(index)
            values = list(ablation.arm(row.arm).values(summary.metric.name).values())
            # The dots lie a little above and the mean below the row's centre, so that neither hides the other.
            axes.plot(values, [index - 0.16] * len(values), "o", color=style.colour, alpha=0.35, markersize=5, mew=0)
            if row.result.mean is not None:
                axes.errorbar(
                    row.result.mean, index + 0.12, xerr=row.result.half_width, color=style.colour, marker=style.marker,
                    markersize=6, linewidth=2, capsize=4,
                )  # fmt: skip
            text = numbers.with_half_width(row.result, places)
            axes.text(1.015, index, text, transform=axes.get_yaxis_transform(), va="center", fontsize=FONT)
        axes.set_yticks(range(len(summary.rows)), [f"{row.arm}  (n = {row.result.n})" for row in summary.rows])
        axes.set_ylim(len(summary.rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="0.92")
        axes.set_xlabel(
            f"{summary.metric.name}: seeds, mean and 95 % t-interval over n seeds; dashed: mean of {summary.baseline}"
        )
    return [path]

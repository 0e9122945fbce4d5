"""The pictures of the report and what they show."""

from pathlib import Path

from vitcli.report.arms_figure import ARMS, write_arms
from vitcli.report.curves_figure import CURVES, write_curves
from vitcli.report.records import Ablation
from vitcli.report.summary import Summary

CAPTIONS = {
    ARMS: "One dot per seed; the mean and its 95 % t-interval over n seeds; the dashed line is the baseline's mean.",
    CURVES: "Validation: mean over n seeds with its 95 % t-interval; scaled to the second half of training.",
}


def write_figures(ablation: Ablation, summary: Summary) -> list[Path]:
    """Write arms.png and curves.png into the ablation's directory, and remove those for which there are no numbers yet."""
    return [*write_arms(ablation, summary), *write_curves(ablation)]

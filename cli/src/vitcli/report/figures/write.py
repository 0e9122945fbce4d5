"""All figures of the report."""

from vitcli.records.ablation import Ablation
from vitcli.report.blocks import Picture
from vitcli.report.figures.arms import draw_arms
from vitcli.report.figures.canvas import remove
from vitcli.report.figures.cost import draw_cost
from vitcli.report.figures.curves import draw_curves
from vitcli.report.figures.differences import draw_differences
from vitcli.report.figures.factors import draw_factors
from vitcli.report.summary import Summary

DRAWERS = {
    "arms": draw_arms,
    "differences": draw_differences,
    "cost": draw_cost,
    "factors": draw_factors,
    "curves": draw_curves,
}


def write_figures(ablation: Ablation, summary: Summary) -> list[Picture]:
    """Draw every figure for which there are numbers into the ablation's directory, and remove the others.

    Returns:
        The figures drawn, in the report's order; each is there as PNG and as SVG.
    """
    pictures = []
    for name, draw in DRAWERS.items():
        caption = draw(ablation, summary, ablation.directory / name)
        if caption:
            pictures.append(Picture(name, caption))
        else:
            remove(ablation.directory / name)
    return pictures

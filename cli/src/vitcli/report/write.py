"""The whole report of one ablation on disk."""

from collections.abc import Sequence
from pathlib import Path

from vitcli.records.ablation import Ablation, load
from vitcli.report.blocks import Picture, Warnings
from vitcli.report.content import content, number_blocks
from vitcli.report.figures.write import write_figures
from vitcli.report.formats.csv import to_csv
from vitcli.report.formats.html import to_html
from vitcli.report.formats.latex import to_latex
from vitcli.report.formats.markdown import to_markdown
from vitcli.report.summary import Summary, summarise

REPORT = "report.md"


def write(directory: str | Path) -> Path:
    """Write report.md, report.html, report.tex, report.csv and the figures beside ablation.json.

    The ablation may be unfinished.

    Returns:
        Path of report.md.

    Raises:
        RecordError: The directory cannot be read.
    """
    ablation = load(directory)
    summary = summarise(ablation)
    return write_pages(ablation, summary, write_figures(ablation, summary))


def write_pages(ablation: Ablation, summary: Summary, pictures: Sequence[Picture]) -> Path:
    """Write the report in its four formats, with the figures that have been drawn, and return the path of report.md."""
    page = content(ablation, summary, pictures)
    for_paper = [*([Warnings(summary.warnings)] if summary.warnings else []), *number_blocks(ablation, summary)]
    texts = {
        "report.csv": to_csv(summary),
        "report.tex": to_latex(for_paper),
        "report.html": to_html(ablation.name, page, ablation.directory),
        REPORT: to_markdown(page),
    }
    for name, text in texts.items():
        (ablation.directory / name).write_text(text, encoding="utf-8")
    return ablation.directory / REPORT

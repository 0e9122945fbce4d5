"""The whole report of one ablation on disk."""

from pathlib import Path

from vitcli.report.figures import write_figures
from vitcli.report.load import load
from vitcli.report.markdown import to_markdown
from vitcli.report.summary import summarise
from vitcli.report.tables import to_csv


def write(directory: str | Path) -> Path:
    """Write report.md, report.csv and the figures beside ablation.json; the ablation may be unfinished.

    Returns:
        Path of report.md.

    Raises:
        ReportError: The directory cannot be read.
    """
    ablation = load(directory)
    summary = summarise(ablation)
    write_figures(ablation, summary)
    (ablation.directory / "report.csv").write_text(to_csv(summary), encoding="utf-8")
    report = ablation.directory / "report.md"
    report.write_text(to_markdown(ablation, summary), encoding="utf-8")
    return report

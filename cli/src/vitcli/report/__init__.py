"""The report of an ablation: read the runner's records, compare the arms, write tables, pages, figures and a TensorBoard view.

Nothing here imports torch: a report is made in seconds, on a machine that may have no torch at all.
"""

from vitcli.records.ablation import Ablation, Arm, Metric, Trial
from vitcli.records.json_records import ReportError
from vitcli.records.load import load
from vitcli.report.blocks import Picture
from vitcli.report.content import content
from vitcli.report.figures.write import write_figures
from vitcli.report.formats.html import to_html
from vitcli.report.formats.latex import to_latex
from vitcli.report.formats.markdown import to_markdown
from vitcli.report.summary import Row, Summary, summarise
from vitcli.report.tables import to_csv, to_terminal
from vitcli.report.tensorboard.view import write_collection_view, write_summary_view, write_view
from vitcli.report.write import write, write_pages

__all__ = [
    "Ablation", "Arm", "Metric", "Picture", "ReportError", "Row", "Summary", "Trial",
    "content", "load", "summarise", "to_csv", "to_html", "to_latex", "to_markdown", "to_terminal",
    "write", "write_collection_view", "write_figures", "write_pages", "write_summary_view", "write_view",
]  # fmt: skip

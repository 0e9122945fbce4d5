"""The report of an ablation: compare the arms, and write tables, pages, figures and a TensorBoard view.

This module is the room's face: other rooms import from here. Nothing below imports torch: a report is made in seconds, on a
machine that may have no torch at all.
"""

from vitcli.report.blocks import Picture
from vitcli.report.content import content
from vitcli.report.figures.canvas import FONT
from vitcli.report.figures.write import write_figures
from vitcli.report.formats.csv import to_csv
from vitcli.report.formats.html import to_html
from vitcli.report.formats.latex import to_latex
from vitcli.report.formats.markdown import to_markdown
from vitcli.report.formats.terminal import blocks_to_terminal, to_terminal
from vitcli.report.names import short_keys, short_values
from vitcli.report.short_answer import one_line_answer, short_answer, strength
from vitcli.report.summary import Row, Summary, summarise
from vitcli.report.tensorboard.events import EVENT_FILES
from vitcli.report.tensorboard.view import write_collection_view, write_summary_view
from vitcli.report.two_runs import compare_runs, two_runs_content, two_runs_csv
from vitcli.report.write import write, write_pages

__all__ = [
    "EVENT_FILES", "FONT", "Picture", "Row", "Summary", "blocks_to_terminal", "compare_runs", "content",
    "one_line_answer", "short_answer", "short_keys", "short_values", "strength", "summarise", "to_csv", "to_html",
    "to_latex", "to_markdown", "to_terminal", "two_runs_content", "two_runs_csv", "write",
    "write_collection_view", "write_figures", "write_pages", "write_summary_view",
]  # fmt: skip

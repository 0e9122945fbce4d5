"""The answer of an ablation at two lengths: a short page, and one cell of a table."""

from collections.abc import Iterable

from vitcli.records.ablation import Ablation
from vitcli.report import numbers
from vitcli.report.blocks import Block, Heading, Paragraph, Warnings
from vitcli.report.conclusion import conclusion
from vitcli.report.content import result_blocks
from vitcli.report.summary import Row, Summary


def short_answer(ablation: Ablation, summary: Summary) -> list[Block]:
    """Return the parts of the report that answer the question, without costs and methods."""
    return [
        Heading(ablation.name, 1),
        *([Paragraph(ablation.question)] if ablation.question else []),
        *([Paragraph(f"Source: {ablation.source}.")] if ablation.source else []),
        *([Warnings(summary.warnings)] if summary.warnings else []),
        Paragraph(conclusion(summary), "Answer."),
        *result_blocks(ablation, summary),
    ]


def one_line_answer(summary: Summary) -> str:
    """Return the arms by verdict with their differences, such as "better than relu6: eca +0.021; open: k5 +0.004"."""
    order = ("better", "worse", "better and equivalent", "worse and equivalent", "equivalent", "open", "not compared")
    groups = {verdict: [row for row in summary.rows if row.verdict == verdict] for verdict in order}
    texts = [
        f"{_heading(verdict, summary.baseline)}: {_arms(rows, summary)}" for verdict, rows in groups.items() if rows
    ]
    return "; ".join(texts)


def _heading(verdict: str, baseline: str) -> str:
    than = {
        "better": f"better than `{baseline}`",
        "worse": f"worse than `{baseline}`",
        "equivalent": f"equivalent to `{baseline}`",
    }
    return than.get(verdict, verdict)


def _arms(rows: Iterable[Row], summary: Summary) -> str:
    decimals = min(3, numbers.decimals(summary))
    values = ((row.arm, row.difference.value if row.difference else None) for row in rows)
    return ", ".join(f"`{arm}`" if value is None else f"`{arm}` {value:+.{decimals}f}" for arm, value in values)


def strength(summary: Summary) -> str:
    """Return how strong the evidence is: the largest corrected p-value of the arms that differ, and the numbers of seeds."""
    found = [row.difference for row in summary.rows if row.difference is not None]
    decided = [
        one.p_adjusted for one in found if one.verdict.startswith(("better", "worse")) and one.p_adjusted is not None
    ]
    seeds = sorted({f"{len(one.arm_seeds)} against {len(one.baseline_seeds)} seeds" for one in found})
    largest = f"p at most {numbers.p_value(max(decided))}, " if decided else ""
    return f"{largest}{', '.join(seeds)}".replace("at most <", "below ")

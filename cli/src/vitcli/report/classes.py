"""Scores of single classes, which segmentation and detection have: one table a score, a row a class and a column an arm."""

from collections.abc import Iterator
from statistics import fmean

from vitcli.records.ablation import Ablation
from vitcli.report.blocks import Block, Heading, Paragraph, Table

MEANING = "Means over the done seeds. A class that occurs nowhere in the test set, or in none of an arm's seeds, has no score."


def class_blocks(ablation: Ablation) -> Iterator[Block]:
    """Return the tables under a heading; nothing if no trial has scores of single classes."""
    tables = list(class_tables(ablation))
    if tables:
        yield Heading("By class", 2)
        yield from tables
        yield Paragraph(MEANING)


def class_tables(ablation: Ablation) -> Iterator[Table]:
    """Return a table of each score whose metrics are named ``test/SCORE/CLASS``, classes in the order of the results."""
    names = {
        name: None for arm in ablation.arms for trial in arm.done for name in trial.metrics if name.count("/") == 2
    }
    for score in dict.fromkeys(name.rpartition("/")[0] for name in names):
        rows = []
        for name in (name for name in names if name.rpartition("/")[0] == score):
            values = [list(arm.values(name).values()) for arm in ablation.arms]
            rows.append((name.rpartition("/")[2], *(f"{fmean(one):.3f}" if one else "" for one in values)))
        heading = f"class, by {score}"
        yield Table(
            f"{score} of each class", (heading, *(arm.name for arm in ablation.arms)), frozenset({heading}), tuple(rows)
        )

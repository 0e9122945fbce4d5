"""What the report says, section by section; the writers of Markdown, HTML and LaTeX only decide how it looks."""

from collections.abc import Iterator, Sequence

from vitcli.records.ablation import Ablation
from vitcli.report import methods, names
from vitcli.report.blocks import Block, Bullets, Code, Heading, Log, Paragraph, Picture, Table, Warnings
from vitcli.report.conclusion import conclusion
from vitcli.report.summary import Summary
from vitcli.report.tables import costs, meaning, results


def content(ablation: Ablation, summary: Summary, pictures: Sequence[Picture]) -> list[Block]:
    """The whole report.

    Args:
        ablation: What it is about.
        summary: Of it.
        pictures: The figures that have been drawn.
    """
    return [
        Heading(ablation.name, 1),
        *([Paragraph(ablation.question)] if ablation.question else []),
        *([Paragraph(f"Source: {ablation.source}.")] if ablation.source else []),
        *([Warnings(summary.warnings)] if summary.warnings else []),
        Paragraph(conclusion(summary), "Answer."),
        *_unfinished(ablation),
        *number_blocks(ablation, summary),
        *pictures,
        Heading("What differs from the baseline", 2),
        _differences(ablation),
        Heading("Trials not used", 2),
        *_not_used(ablation),
        Heading("How it was run", 2),
        Bullets(tuple((name, text) for name, text in methods.facts(ablation).items() if text)),
        Heading("What the intervals mean", 2),
        LIMITS,
    ]


def number_blocks(ablation: Ablation, summary: Summary) -> list[Block]:
    """The numbers: results and costs, and what they are."""
    return [
        results(summary),
        Paragraph(f"{meaning(summary)} {CHANCE}"),
        *([Paragraph(lost, "Lost seeds.")] if (lost := methods.lost_seeds(ablation)) else []),
        *([Paragraph(stopped, "Stopped early.")] if (stopped := methods.stopped_early(ablation)) else []),
        costs(summary),
        Paragraph(COSTS),
        *([Paragraph(measured, "Measured speed.")] if (measured := methods.measured(ablation, summary)) else []),
    ]


CHANCE = (
    "sd is the standard deviation over seeds; P(better) is the share of the shared seeds in which the arm beats the baseline, "
    "a tie counting half, and estimates how likely it would with one more seed (its interval is in report.csv)."
)
COSTS = (
    "Parameters and multiply-adds (MACs, GMACs are thousands of millions) are of one model and one image; "
    "training s is the mean time of one trial, training images/s is over all of its trials, as they ran."
)
LIMITS = Bullets((
    (
        "95 % t-interval over n seeds",
        "if the training were repeated with n new seeds many times, 95 % of the intervals made this "
        "way would hold the arm's true mean. It speaks of the variation between seeds on this data and this split, of nothing "
        "else: not of other data sets, sizes or schedules.",
    ),
    (
        "Compare arms by the difference column",
        "not by whether their intervals overlap: seeds are shared by the arms, so that the difference is known better than "
        "either value. Its interval is for that one comparison; p is corrected (Holm) for all of them together, so that an "
        'interval can exclude 0 where the verdict is "no evidence".',
    ),
    (
        '"No evidence" is not "no difference"',
        "with few seeds only large differences can be seen. The number of seeds needed (paired t-test, 80 % power, two-sided "
        "5 % shared by the comparisons) takes the observed difference for the true one and is rough.",
    ),
    (
        "P(better) is a count",
        "with 2, 3 or 5 seeds all won, its exact 95 % interval still reaches down to 0.16, 0.29 and 0.48. It says how often, "
        "not by how much, and decides no verdict.",
    ),
    (
        "The t-interval assumes that seeds vary about normally",
        "with n = 2 it is 9.0 standard deviations to each side, with n = 3 it is 2.5, with n = 5 it is 1.2; "
        "below 3 seeds treat everything here as a rehearsal.",
    ),
))  # fmt: skip


def _unfinished(ablation: Ablation) -> Iterator[Block]:
    planned, done = len(ablation.arms) * len(ablation.seeds), sum(len(arm.done) for arm in ablation.arms)
    if done < planned:
        yield Paragraph(f"{done} of {planned} planned trials are used; the others are listed below.")


def _differences(ablation: Ablation) -> Block:
    rows = []
    for arm in ablation.arms:
        for key, pair in arm.difference.items():
            before, after = names.short_values(pair)
            rows.append((arm.name, Code(key), Code(before), Code(after)))
    if not rows:
        return Paragraph("Nothing: every arm resolves to the baseline's config.")
    header = ("arm", "resolved key", ablation.baseline, "arm's value")
    return Table("resolved differences", header, frozenset(header), tuple(rows))


def _not_used(ablation: Ablation) -> Iterator[Block]:
    if not ablation.not_used:
        yield Paragraph(f"None: all {len(ablation.arms) * len(ablation.seeds)} planned trials are done and used.")
        return
    header = ("trial", "status", "cause")
    rows = tuple((trial.name, trial.status, trial.cause) for trial in ablation.not_used)
    yield Table("trials not used", header, frozenset(header), rows)
    for trial in ablation.not_used:
        if trial.log:
            yield Log(f"{trial.name}: the last lines of its log", trial.log)

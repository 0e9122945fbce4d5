"""What the report says, section by section; the modules of ``formats`` decide only how it looks."""

from collections.abc import Iterator, Sequence

from vitcli.records.ablation import Ablation
from vitcli.report import methods, names
from vitcli.report.blocks import Block, Bullets, Code, Heading, Log, Paragraph, Picture, Table, Warnings
from vitcli.report.classes import class_blocks
from vitcli.report.conclusion import conclusion
from vitcli.report.summary import Summary
from vitcli.report.tables import costs, meaning, results, speeds


def content(ablation: Ablation, summary: Summary, pictures: Sequence[Picture]) -> list[Block]:
    """Return the whole report.

    Args:
        ablation: The ablation that is reported.
        summary: The summary of that ablation.
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
        *class_blocks(ablation),
        Heading("What differs from the baseline", 2),
        _differences(ablation),
        *_starting_weights(ablation),
        Heading("Trials not used", 2),
        *_not_used(ablation),
        Heading("How it was run", 2),
        Bullets(tuple((name, text) for name, text in methods.facts(ablation).items() if text)),
        Heading("What the intervals mean", 2),
        LIMITS,
    ]


def number_blocks(ablation: Ablation, summary: Summary) -> list[Block]:
    """Return the tables of results and costs, each followed by what its numbers mean."""
    return [
        *result_blocks(ablation, summary),
        *([Paragraph(lost, "Lost seeds.")] if (lost := methods.lost_seeds(ablation)) else []),
        *([Paragraph(stopped, "Stopped early.")] if (stopped := methods.stopped_arms(ablation)) else []),
        costs(summary),
        Paragraph(COSTS),
        *([speeds(summary)] if summary.has_speed else []),
        *([Paragraph(measured, "Measured speed.")] if (measured := methods.speed_conditions(ablation)) else []),
    ]


def result_blocks(ablation: Ablation, summary: Summary) -> list[Block]:
    """Return the table of results, what short names of arms stand for, and what the numbers mean."""
    labels = "; ".join(f"{arm.name}: {arm.label}" for arm in ablation.arms if arm.label)
    return [
        results(summary),
        *([Paragraph(f"{labels}.", "Arms.")] if labels else []),
        Paragraph(f"{meaning(summary)} {CHANCE}"),
    ]


CHANCE = (
    "sd is the standard deviation over seeds. P(better) is the share of the shared seeds in which the arm beats the baseline "
    "(a tie counts half); it estimates the probability that the arm wins with one more seed, and report.csv has its interval."
)
COSTS = (
    "Parameters are counted for one model and multiply-adds (MACs) for one image: k stands for thousand, M for million, G for a "
    "thousand million. Seconds per trial is the mean training time, and images/s in trials the throughput of all trials of the "
    "arm; trials may have shared the machine, so that neither tells how fast an arm is."
)
STARTS = (
    "Of such a file the head of the classifier is left out, and what the network has beside the backbone is new. "
    "Anything else that does not fit is refused; the log of a trial names what was left out or interpolated."
)
LIMITS = Bullets((
    (
        "95 % t-interval over n seeds",
        "if the training were repeated many times with n new seeds each, 95 % of the intervals made this way would contain "
        "the arm's true mean. The interval covers only the variation between seeds on this data and this split. It says "
        "nothing about other data sets, sizes or schedules.",
    ),
    (
        "Compare arms by the difference column",
        "not by whether their intervals overlap. The intervals of all differences hold at once in 95 % of experiments, and p is "
        "corrected for all comparisons, so that the chance of any false better or worse is at most 5 %. The correction of p "
        "goes step by step and finds a little more: an interval may include 0 although the verdict is better or worse.",
    ),
    (
        '"Open" is not "no difference"',
        "few seeds can show only large differences. That two arms are alike is shown only by the verdict equivalent, which "
        "needs a margin that was declared before the run. Seeds needed are a range (80 % power), because neither the true "
        "difference nor the spread is known.",
    ),
    (
        "P(better) is a count",
        "even if all of 2, 3 or 5 seeds are won, its exact 95 % interval reaches down to 0.16, 0.29 or 0.48. It says how "
        "often an arm wins, not by how much, and no verdict depends on it.",
    ),
    (
        "The t-interval assumes that seeds vary about normally",
        "it extends 9.0 standard deviations to each side with n = 2, 2.5 with n = 3, and 1.2 with n = 5. "
        "With fewer than 3 seeds, treat every number here as a rehearsal.",
    ),
))  # fmt: skip


def _unfinished(ablation: Ablation) -> Iterator[Block]:
    planned, done = _planned(ablation), sum(len(arm.done) for arm in ablation.arms)
    if done < planned:
        yield Paragraph(f"{done} of {planned} planned trials are used; the others are listed below.")


def _planned(ablation: Ablation) -> int:
    return sum(len(arm.trials) for arm in ablation.arms)


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


def _starting_weights(ablation: Ablation) -> Iterator[Block]:
    """Yield a table of the files that trainings started from, by content, with the scores of the runs that wrote them."""
    rows = []
    for arm in ablation.arms:
        for trial in arm.done:
            for one in trial.provenance.weights if trial.provenance else ():
                scores = ", ".join(f"{name} {value:.4f}" for name, value in one.metrics.items() if "loss" not in name)
                rows.append((trial.name, Code(one.file), Code(one.sha256[:16]), scores or "not known"))
    if rows:
        header = ("trial", "started from", "sha256", "scores of the run that wrote it")
        yield Heading("Weights that trainings started from", 2)
        yield Table("starting weights", header, frozenset(header), tuple(rows))
        yield Paragraph(STARTS)


def _not_used(ablation: Ablation) -> Iterator[Block]:
    if not ablation.not_used:
        yield Paragraph(f"None: all {_planned(ablation)} planned trials are done and used.")
        return
    header = ("trial", "status", "cause")
    rows = tuple((trial.name, trial.status, trial.cause) for trial in ablation.not_used)
    yield Table("trials not used", header, frozenset(header), rows)
    for trial in ablation.not_used:
        if trial.log:
            yield Log(f"{trial.name}: the last lines of its log", trial.log)

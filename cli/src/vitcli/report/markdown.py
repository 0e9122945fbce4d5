"""The text of report.md."""

from collections.abc import Iterable, Sequence

from vitcli.report import names, numbers
from vitcli.report.answer import answer
from vitcli.report.figures import CAPTIONS
from vitcli.report.records import Ablation
from vitcli.report.summary import Row, Summary
from vitcli.report.tables import meaning, verdict


def to_markdown(ablation: Ablation, summary: Summary) -> str:
    """The whole report; figures are linked if they lie in the ablation's directory."""
    sections = [
        f"# {ablation.name}",
        ablation.question,
        f"Source: {ablation.source}." if ablation.source else "",
        f"**Answer.** {answer(summary)}",
        _progress(ablation),
        _results(summary),
        meaning(summary) + " Parameters and multiply-adds (MACs) are of one model and one image; time is of one trial.",
        *[f"![{text}]({file})\n\n*{text}*" for file, text in CAPTIONS.items() if (ablation.directory / file).exists()],
        "## What differs from the baseline",
        _differences(ablation),
        "## Trials not used",
        _not_used(ablation),
        "## How it was run",
        _how(ablation),
        "## What the intervals mean",
        LIMITS,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


LIMITS = """\
* **95 % t-interval over n seeds**: if the training were repeated with n new seeds many times, 95 % of the intervals made this
  way would hold the arm's true mean. It speaks of the variation between seeds on this data and this split, of nothing else:
  not of other data sets, sizes or schedules.
* **Compare arms by the difference column**, not by whether their intervals overlap: seeds are shared by the arms, so that
  the difference is known better than either value. Its interval is for that one comparison; p is corrected (Holm) for all
  of them together, so that an interval can exclude 0 where the verdict is "no evidence".
* **"No evidence" is not "no difference"**: with few seeds only large differences can be seen. The number of seeds needed
  (paired t-test, 80 % power, two-sided 5 %, uncorrected) takes the observed difference for the true one and is rough.
* The t-interval assumes that seeds vary about normally. With n = 2 it is 9.0 standard deviations to each side, with
  n = 3 it is 2.5, with n = 5 it is 1.2; below 3 seeds treat everything here as a rehearsal."""


def _progress(ablation: Ablation) -> str:
    planned, done = len(ablation.arms) * len(ablation.seeds), sum(len(arm.done) for arm in ablation.arms)
    return "" if done == planned else f"*{done} of {planned} planned trials are used; the others are listed below.*"


def _results(summary: Summary) -> str:
    places = numbers.decimals(summary)
    header = ["arm", "n", f"{summary.metric.name}", "sd", f"difference from {summary.baseline}", "p (Holm)", "verdict"]
    cost = ["parameters", "GMACs", "training s", "images/s"]
    return _table(header + cost, [_cells(row, places) for row in summary.rows], first_number=1)


def _cells(row: Row, places: int) -> list[str]:
    difference = row.comparison.difference if row.comparison else None
    against = ["", "", ""]
    if row.comparison and difference:
        against[0] = numbers.signed(difference.mean, places)
        if difference.interval:
            against[0] += " " + numbers.interval(difference.interval, places)
        against[1] = numbers.p_value(row.comparison.p_holm)
    against[2] = verdict(row)
    return [
        row.arm,
        str(row.result.n),
        numbers.with_half_width(row.result, places),
        numbers.value(row.result.sd, places),
        *against,
        numbers.exact(row.parameters),
        numbers.giga(row.macs),
        numbers.seconds(row.train_seconds),
        numbers.rate(row.images_per_second),
    ]


def _differences(ablation: Ablation) -> str:
    rows = [
        [arm.name, f"`{key}`", *[f"`{text}`" for text in names.short_values(pair)]]
        for arm in ablation.arms
        for key, pair in arm.difference.items()
    ]
    if not rows:
        return "Nothing: every arm resolves to the baseline's config."
    return _table(["arm", "resolved key", ablation.baseline, "arm's value"], rows, first_number=4)


def _not_used(ablation: Ablation) -> str:
    if not ablation.not_used:
        return f"None: all {len(ablation.arms) * len(ablation.seeds)} planned trials are done and used."
    return _table(
        ["trial", "status", "cause"], [[t.name, t.status, t.cause] for t in ablation.not_used], first_number=3
    )


def _how(ablation: Ablation) -> str:
    threads = sorted({trial.threads for arm in ablation.arms for trial in arm.done if trial.threads})
    epochs = sorted({trial.epochs for arm in ablation.arms for trial in arm.done})
    facts = {
        "command": f"`{ablation.command}`" if ablation.command else "",
        "seeds": ", ".join(map(str, ablation.seeds)) + " (the same for every arm)",
        "epochs": ", ".join(map(str, epochs)),
        "threads per trial": ", ".join(map(str, threads)),
        "machine": _listed(ablation.machine.items()),
        "versions": _listed(ablation.versions.items()),
        "config ids": _listed((arm.name, f"`{arm.id}`") for arm in ablation.arms),
    }
    return "\n".join(f"* {name}: {text}" for name, text in facts.items() if text)


def _listed(items: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{key} {item}" for key, item in items)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], first_number: int) -> str:
    rule = ["---" if i < first_number or name == "verdict" else "---:" for i, name in enumerate(header)]
    lines = [header, rule, *[[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

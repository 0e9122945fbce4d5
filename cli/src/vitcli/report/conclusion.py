"""The answer to the ablation's question in sentences that claim no more than the numbers show."""

from vitcli.report import numbers
from vitcli.report.mixed_conditions import join_words
from vitcli.report.summary import Row, Summary
from vitcli.statistics.against_baseline import Difference


def conclusion(summary: Summary) -> str:
    """Return one paragraph: which arms are better, worse or equivalent and by how much, and what the others would need."""
    if summary.row(summary.baseline).result.n == 0:
        return f"No answer yet: the baseline {summary.baseline} has no usable trial to compare with."
    compared = [(row, row.difference) for row in summary.rows if row.difference is not None]
    sentences = [
        *[_different(row, one, summary) for row, one in compared if one.verdict.startswith(("better", "worse"))],
        *_wide_intervals([row.arm for row, one in compared if one.interval_holds_zero]),
        *[_equivalent(row, one, summary) for row, one in compared if one.verdict == "equivalent"],
        *_open([(row, one) for row, one in compared if one.verdict == "open"], summary),
        *_not_compared([row.arm for row, one in compared if one.verdict == "not compared"], summary),
    ]
    return " ".join(sentences) or "No answer yet: there is only the baseline."


def _different(row: Row, one: Difference, summary: Summary) -> str:
    decimals = numbers.decimals(summary)
    # "better by" and "worse by" count in the direction of the verdict, so that both are positive whichever way is better.
    low, high = one.interval or (0.0, 0.0)
    value = one.value or 0.0
    if value < 0:
        low, high = -high, -low
    sign, *also = one.verdict.split(" and ")
    return (
        f"{row.arm} is {sign} than {summary.baseline} by {numbers.value(abs(value), decimals)} "
        f"{numbers.interval((low, high), decimals)} in {summary.metric.name}, "
        f"{numbers.p_equals(one.p_adjusted)} ({_seeds(one)})"
        f"{f', and equivalent within the margin of {summary.margin:g}' if also else ''}{_exploratory(row)}."
    )


def _wide_intervals(arms: list[str]) -> list[str]:
    if not arms:
        return []
    return [
        f"For {join_words(arms)} p and interval disagree: the corrected p-value finds a difference, but the interval, which is "
        "wider so that all intervals hold at once, includes 0; the verdict goes by p."
    ]


def _equivalent(row: Row, one: Difference, summary: Summary) -> str:
    return (
        f"{row.arm} is equivalent to {summary.baseline}: the difference in {summary.metric.name}, "
        f"{numbers.difference(one, numbers.decimals(summary))}, lies within the margin of {summary.margin:g} "
        f"({_seeds(one)}){_exploratory(row)}."
    )


def _open(pairs: list[tuple[Row, Difference]], summary: Summary) -> list[str]:
    if not pairs:
        return []
    arms = ", ".join(f"{row.arm} ({_evidence(row, one, summary)})" for row, one in pairs)
    sentences = [f"Whether there is a difference from {summary.baseline} stays open for {arms}."]
    needed = [
        f"{text} for {row.arm}"
        for row, _ in pairs
        if row.seeds_needed and (text := numbers.seed_range(row.seeds_needed))
    ]
    if needed:
        sentences.append(
            f"To find a difference of the observed size, an arm would need this many seeds: {', '.join(needed)}."
        )
    return sentences


def _evidence(row: Row, one: Difference, summary: Summary) -> str:
    counted = row.improvement
    if counted is not None and counted.ties == counted.n:
        return f"identical in all {counted.n} seeds"
    if one.p_adjusted is None:
        return f"the difference is {one.value or 0.0:+.3g} without any spread over seeds, so that there is no test"
    return f"{numbers.p_equals(one.p_adjusted)}, {_seeds(one)}"


def _not_compared(arms: list[str], summary: Summary) -> list[str]:
    if not arms:
        return []
    looks = summary.verdicts.declared
    if looks and not summary.verdicts.made:
        reason = (
            f"the first declared look needs {looks[0].arms} seeds of every arm and {looks[0].baseline} of the baseline"
        )
    elif summary.pairing == "seeds":
        reason = f"fewer than two seeds are shared with {summary.baseline}"
    else:
        reason = f"the arm or {summary.baseline} has fewer than two seeds"
    return [f"Not compared yet, because {reason}: {', '.join(arms)}."]


def _exploratory(row: Row) -> str:
    return "; this is exploratory, because the first look did not show it" if row.exploratory else ""


def _seeds(one: Difference) -> str:
    if one.in_pairs:
        return f"{len(one.arm_seeds)} pairs of seeds"
    return f"{len(one.arm_seeds)} seeds against {len(one.baseline_seeds)}"

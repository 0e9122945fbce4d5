"""The answer to the ablation's question in sentences that claim no more than the numbers show."""

from vitcli.report import numbers
from vitcli.report.summary import Row, Summary
from vitcli.statistics.comparison import Comparison
from vitcli.statistics.significance import SEED_CAP


def conclusion(summary: Summary) -> str:
    """Return one paragraph: which arms are better or worse and by how much, and what the others would need to show it."""
    if summary.row(summary.baseline).result.n == 0:
        return f"No answer yet: the baseline {summary.baseline} has no usable trial to compare with."
    compared = [(row, row.comparison) for row in summary.rows if row.comparison is not None]
    sentences = [
        _difference(row, comparison, summary) for row, comparison in compared if comparison.verdict in _DIFFERENT
    ]
    sentences += _no_evidence([pair for pair in compared if pair[1].verdict == "no evidence"], summary)
    waiting = [row.arm for row, comparison in compared if comparison.verdict == "not compared"]
    if waiting:
        sentences.append(
            f"Not compared yet, because fewer than two seeds are shared with {summary.baseline}: {', '.join(waiting)}."
        )
    return " ".join(sentences) or "No answer yet: there is only the baseline."


_DIFFERENT = ("better", "worse")


def _difference(row: Row, comparison: Comparison, summary: Summary) -> str:
    decimals = numbers.decimals(summary)
    # "better by" and "worse by" count in the direction of the verdict, so that both are positive whichever way is better.
    low, high = comparison.difference.interval or (0.0, 0.0)
    mean = comparison.difference.mean or 0.0
    if mean < 0:
        low, high = -high, -low
    return (
        f"{row.arm} is {comparison.verdict} than {summary.baseline} by {numbers.value(abs(mean), decimals)} "
        f"{numbers.interval((low, high), decimals)} in {summary.metric.name}, "
        f"p {_p_value(comparison.p_holm)} ({_family(summary)}, {_seeds(comparison.difference.n)})."
    )


def _no_evidence(pairs: list[tuple[Row, Comparison]], summary: Summary) -> list[str]:
    if not pairs:
        return []
    arms = ", ".join(f"{row.arm} ({_evidence(comparison)})" for row, comparison in pairs)
    sentences = [f"No evidence of a difference from {summary.baseline} for {arms}."]
    needed = [f"{_needed(comparison)} for {row.arm}" for row, comparison in pairs if _needed(comparison)]
    if needed:
        sentences.append(f"To detect a difference of the observed size, one would need {', '.join(needed)}.")
    return sentences


def _evidence(comparison: Comparison) -> str:
    n = comparison.difference.n
    if comparison.p_holm is not None:
        same = comparison.difference.mean == 0 and comparison.difference.sd == 0
        return f"identical in all {n} seeds" if same else f"p {_p_value(comparison.p_holm)}, {_seeds(n)}"
    mean = comparison.difference.mean or 0.0
    return f"all {n} differences equal {mean:+.3g}, so that there is no spread to test against"


def _needed(comparison: Comparison) -> str:
    if comparison.seeds_needed == "not defined":
        return ""
    if comparison.seeds_needed == "over the cap":
        return f"more than {SEED_CAP} seeds"
    return f"about {comparison.seeds_needed} seeds"


def _p_value(p_value: float | None) -> str:
    text = numbers.p_value(p_value)
    return f"< {text[1:]}" if text.startswith("<") else f"= {text}"


def _family(summary: Summary) -> str:
    return f"Holm over {summary.comparisons} comparison{'' if summary.comparisons == 1 else 's'}"


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"

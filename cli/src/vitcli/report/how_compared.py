"""Which comparison was used and why, and what the looks at the results do to its errors."""

from vitcli.report.mixed_conditions import join_words
from vitcli.report.numbers import p_equals
from vitcli.report.summary import Summary
from vitcli.statistics.against_baseline import Comparisons
from vitcli.statistics.looks import look_levels, total_error


def how_compared(summary: Summary) -> str:
    """Return whether means or pairs of seeds were compared, and the correlation that was measured; empty without a test."""
    latest = summary.verdicts.latest
    if latest is None or not summary.comparisons:
        return ""
    what = "pairs of equal seeds" if latest.pairing == "seeds" else "means"
    by_mean = [row.arm for row in summary.rows if row.difference is not None and not row.difference.in_pairs]
    if latest.pairing == "seeds" and by_mean:
        what += f" (means for {join_words(by_mean)}: fewer than two seeds are shared with the baseline)"
    measured = _correlation(latest)
    if summary.pairing == "estimated":
        return f"{measured}: {what} were compared."
    helped = "" if latest.correlation is None else f", so the data {_show(latest)} that pairs help"
    return f"{what.capitalize()} were compared, as declared (pairing: {summary.pairing}). {measured}{helped}."


def _correlation(latest: Comparisons) -> str:
    found = latest.correlation
    if found is None:
        return "There are too few equal seeds to measure a correlation of arms and baseline"
    measured = f"{float(found.mean):.2f} ({p_equals(float(found.p_value))})"
    return f"The correlation of arms and baseline over equal seeds is {measured}"


def _show(latest: Comparisons) -> str:
    found = latest.correlation
    return "show" if found is not None and bool(found.helps) and found.mean > 0 else "do not show"


def looks_taken(summary: Summary) -> str:
    """Return which declared looks were made, or what undeclared ones do to the error; empty after a single look."""
    found = summary.verdicts
    if len(found.declared) > 1 or (found.declared and found.undeclared):
        return _declared(summary)
    if found.declared or found.undeclared < 2:
        return ""
    level = found.latest.level if found.latest is not None else 0.0
    marked = [row.arm for row in summary.rows if row.exploratory]
    verdicts = "verdict is" if len(marked) == 1 else "verdicts are"
    new = f"; for {join_words(marked)} the {verdicts} new since the first look and exploratory" if marked else ""
    return (
        f"This is look {found.undeclared} at the results, and looks were not declared: the chance of any false better or worse "
        f"over all of them is at most {100 * total_error([level] * found.undeclared):g} % instead of {100 * level:g} %{new}."
    )


def _declared(summary: Summary) -> str:
    found = summary.verdicts
    levels = look_levels([look.arms for look in found.declared])
    shares = [
        f"{look.arms} seeds ({look.baseline} of {summary.baseline}) at {100 * level:.3g} %"
        for look, level in zip(found.declared, levels, strict=True)
    ]
    sentence = (
        f"Declared looks share the {100 * sum(levels):g} %: {join_words(shares)}; {found.made} of {len(levels)} "
        f"{'was' if found.made == 1 else 'were'} made. An arm keeps verdict, difference and interval of the look that decided it."
    )
    if not found.undeclared:
        return sentence
    before = "One report was" if found.undeclared == 1 else f"{found.undeclared} reports were"
    error = total_error([sum(levels)] * (found.undeclared + 1))
    return (
        f"{sentence} {before} made before these looks were declared: the chance of any false better or worse over all of them is "
        f"at most {100 * error:g} %."
    )

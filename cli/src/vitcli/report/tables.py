"""The two tables of the page: what each arm reaches, and what it costs."""

from vitcli.report import numbers
from vitcli.report.blocks import Table
from vitcli.report.columns import COLUMNS, COST, RESULTS, SPEED, columns_of, make_table
from vitcli.report.summary import Summary


def results(summary: Summary) -> Table:
    """Return one line per arm: its result, its difference from the baseline, and the verdict."""
    return _table(summary, "results", RESULTS)


def costs(summary: Summary) -> Table:
    """Return one line per arm: size, work and time, and the measured speeds if there are any."""
    return _table(summary, "cost", COST, *([SPEED] if summary.has_speed else []))


def meaning(summary: Summary) -> str:
    """Return what the intervals and p-values mean, for the line below the table of results."""
    better = "larger" if summary.metric.direction == "max" else "smaller"
    compared = f"{summary.comparisons} comparison" + ("" if summary.comparisons == 1 else "s")
    return (
        f"± is the 95 % t-interval over n seeds (for the difference, over the seeds shared with {summary.baseline}); "
        f"p is from the paired t-test, corrected by Holm over {compared}; a {better} {summary.metric.name} is better."
    )


def _table(summary: Summary, name: str, *tables: str) -> Table:
    names = {"metric": summary.metric.name, "baseline": summary.baseline}
    columns = columns_of(COLUMNS, *tables)
    return make_table(name, columns, summary, summary.rows, numbers.decimals(summary), names)

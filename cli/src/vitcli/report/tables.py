"""The tables of the page: what each arm reaches, what it costs, and how fast it is."""

from vitcli.report import numbers
from vitcli.report.blocks import Table
from vitcli.report.columns import COLUMNS, COST, RESULTS, SPEED, columns_of, make_table
from vitcli.report.how_compared import how_compared, looks_taken
from vitcli.report.summary import Summary


def results(summary: Summary) -> Table:
    """Return one line per arm: its result, its difference from the baseline, and the verdict."""
    return _table(summary, "results", RESULTS)


def costs(summary: Summary) -> Table:
    """Return one line per arm: its size, its work, and the time of its trials."""
    return _table(summary, "cost", COST)


def speeds(summary: Summary) -> Table:
    """Return one line per arm: the speeds that were measured side by side."""
    return _table(summary, "measured speed", SPEED)


def meaning(summary: Summary) -> str:
    """Return what the intervals and p-values mean and how arms were compared, for the line below the table of results."""
    better = "larger" if summary.metric.direction == "max" else "smaller"
    compared = f"{summary.comparisons} comparison" + ("" if summary.comparisons == 1 else "s")
    intervals = (
        "The interval of a result is the 95 % t-interval over n seeds; the intervals of differences are simultaneous: all of "
        "them hold at once in 95 % of experiments."
    )
    corrected = f"p is corrected for {compared}; " if summary.comparisons else ""
    direction = f"a {better} {summary.metric.name} is better."
    direction = f"{corrected}{direction}" if corrected else f"{direction[0].upper()}{direction[1:]}"
    return " ".join(filter(None, [intervals, direction, how_compared(summary), looks_taken(summary)]))


def _table(summary: Summary, name: str, *tables: str) -> Table:
    names = {"metric": summary.metric.name, "baseline": summary.baseline}
    columns = columns_of(COLUMNS, *tables)
    return make_table(name, columns, summary, summary.rows, numbers.decimals(summary), names)

"""The two tables of the report: what each arm reaches, and what it costs."""

from vitcli.report import numbers
from vitcli.report.blocks import Table
from vitcli.report.summary import Row, Summary

BASELINE = "baseline"


def verdict(row: Row) -> str:
    """``baseline``, or the comparison's verdict."""
    return BASELINE if row.comparison is None else row.comparison.verdict


def meaning(summary: Summary) -> str:
    """What the table's intervals and p-values are; every table says it."""
    better = "larger" if summary.metric.direction == "max" else "smaller"
    compared = f"{summary.comparisons} comparison" + ("" if summary.comparisons == 1 else "s")
    return (
        f"± is the 95 % t-interval over n seeds (difference: over the seeds shared with {summary.baseline}); "
        f"p is of the paired t-test, Holm over {compared}; {better} {summary.metric.name} is better."
    )


def results(summary: Summary) -> Table:
    """One line per arm: its result, its difference from the baseline, and the verdict."""
    places = numbers.decimals(summary)
    header = (
        "arm", "n", summary.metric.name, "sd", f"difference from {summary.baseline}", "p (Holm)", "P(better)", "verdict"
    )  # fmt: skip
    rows = tuple(_result(row, places) for row in summary.rows)
    return Table("results", header, frozenset({"arm", "verdict"}), rows)


def _result(row: Row, places: int) -> tuple[str, ...]:
    against = ["", "", ""]
    if comparison := row.comparison:
        against[0] = numbers.signed(comparison.difference.mean, places)
        if comparison.difference.interval:
            against[0] += " " + numbers.interval(comparison.difference.interval, places)
        against[1] = numbers.p_value(comparison.p_holm)
        against[2] = numbers.improvement(comparison.improvement)
    result = numbers.with_half_width(row.result, places)
    return row.arm, str(row.result.n), result, numbers.value(row.result.sd, places), *against, verdict(row)


def costs(summary: Summary) -> Table:
    """One line per arm: size, work and time, and the measured speeds if there are any."""
    header = ["arm", "parameters", "GMACs", "training s", "training images/s"]
    if summary.has_speed:
        header += ["latency ms", "inference images/s", "training-step images/s", "peak memory MiB"]
    rows = tuple((*_work(row), *(_speed(row) if summary.has_speed else ())) for row in summary.rows)
    return Table("cost", tuple(header), frozenset({"arm"}), rows)


def _work(row: Row) -> tuple[str, ...]:
    return (
        row.arm,
        numbers.exact(row.parameters),
        numbers.giga(row.macs),
        numbers.seconds(row.train_seconds),
        numbers.rate(row.images_per_second),
    )


def _speed(row: Row) -> tuple[str, ...]:
    if row.speed is None:
        return (numbers.ABSENT,) * 4
    return (
        numbers.seconds(row.speed.latency_ms),
        numbers.rate(row.speed.inference_images_per_second),
        numbers.rate(row.speed.train_images_per_second),
        numbers.mebibytes(row.speed.peak_memory_bytes),
    )

"""The columns of the report. Each is defined once, with all the tables that show it; a new column is one line below."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitcli.report import numbers
from vitcli.report.blocks import Table
from vitcli.report.summary import Row, Summary
from vitcli.statistics.against_baseline import Difference

RESULTS, COST, SPEED, TERMINAL, CSV = "results", "cost", "measured speed", "terminal", "csv"
"""Where a column can stand: three tables of the page, and two formats."""


def _words(value: Any, decimals: int) -> str:
    return str(value)


@dataclass(frozen=True)
class Column:
    """One column, in every table that has it.

    Args:
        key: Its name in CSV.
        value: (all that is reported, the row) -> what the column holds: a number, None if the number does not exist, or words.
            CSV holds it as it is, with every digit.
        tables: The tables that have the column.
        heading: Its heading in tables; ``{metric}`` and the like are filled in.
        text: (value, decimals) -> how tables show a value that is not words.
        short: Its heading in the terminal, if that is another one.
        is_words: Whether it holds words, which are set flush left.
    """

    key: str
    value: Callable[[Any, Any], Any]
    tables: tuple[str, ...] = (CSV,)
    heading: str = ""
    text: Callable[[Any, int], str] = _words
    short: str = ""
    is_words: bool = False

    def cell(self, whole: Any, row: Any, decimals: int) -> str:
        """Return what a table shows in one row."""
        value = self.value(whole, row)
        return value if isinstance(value, str) else self.text(value, decimals)


def columns_of(columns: Sequence[Column], *tables: str) -> list[Column]:
    """Return the columns that stand in one of the tables, in order."""
    return [column for column in columns if set(tables) & set(column.tables)]


def make_table(
    name: str, columns: Sequence[Column], whole: Any, rows: Sequence[Any], decimals: int, names: Mapping[str, str]
) -> Table:
    """Return a table of a page.

    Args:
        name: What the rows are.
        columns: Its columns.
        whole: All that is reported.
        rows: What each line is about.
        decimals: Decimals of values and differences.
        names: What the braces in headings stand for.
    """
    headings = tuple(column.heading.format(**names) for column in columns)
    words = frozenset(heading for heading, column in zip(headings, columns, strict=True) if column.is_words)
    lines = tuple(tuple(column.cell(whole, row, decimals) for column in columns) for row in rows)
    return Table(name, headings, words, lines)


def in_full(write: Callable[[Any], str]) -> Callable[[Any, int], str]:
    """Return the text of a column whose decimals do not depend on the intervals."""
    return lambda value, decimals: write(value)


def _compared(get: Callable[[Difference], Any]) -> Callable[[Summary, Row], Any]:
    """Return a value of the comparison with the baseline; the baseline itself has an empty cell."""
    return lambda summary, row: "" if row.difference is None else get(row.difference)


def _needed(end: str) -> Callable[[Summary, Row], Any]:
    return lambda _, row: "" if row.seeds_needed is None else getattr(row.seeds_needed, end)


def _share(name: str) -> Callable[[Summary, Row], Any]:
    return lambda _, row: None if row.improvement is None else getattr(row.improvement, name)


def _of_arms(get: Callable[[Summary, Row], Any]) -> Callable[[Summary, Row], Any]:
    """Return what concerns every arm but the baseline, which has an empty cell."""
    return lambda summary, row: "" if row.difference is None else get(summary, row)


def _speed(name: str) -> Callable[[Summary, Row], Any]:
    return lambda _, row: None if row.speed is None else getattr(row.speed, name)


def ends(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
    """Return lower and upper end of an interval; two times None if there is none."""
    return interval or (None, None)


_difference = _compared(lambda one: one)
_RATE, _SECONDS = in_full(numbers.rate), in_full(numbers.seconds)

COLUMNS = (
    Column("arm", lambda _, row: row.arm, (RESULTS, COST, SPEED, TERMINAL, CSV), "arm", is_words=True),
    Column("metric", lambda summary, _: summary.metric.name),
    Column("n", lambda _, row: row.result.n, (RESULTS, TERMINAL, CSV), "n"),
    Column("result", lambda _, row: row.result, (RESULTS, TERMINAL), "{metric}", numbers.with_half_width),
    Column("mean", lambda _, row: row.result.mean),
    Column("sd", lambda _, row: row.result.sd, (RESULTS, CSV), "sd", numbers.value),
    Column("low", lambda _, row: ends(row.result.interval)[0]),
    Column("high", lambda _, row: ends(row.result.interval)[1]),
    Column("compared_n", _compared(lambda one: len(one.arm_seeds))),
    Column("against", _difference, (RESULTS,), "difference from {baseline}", numbers.difference),
    Column("against", _difference, (TERMINAL,), "difference", numbers.short_difference),
    Column("difference", _compared(lambda one: one.value)),
    Column("difference_low", _compared(lambda one: ends(one.interval)[0])),
    Column("difference_high", _compared(lambda one: ends(one.interval)[1])),
    Column("p", _compared(lambda one: one.p_value)),
    Column("p_corrected", _compared(lambda one: one.p_adjusted), (RESULTS, TERMINAL, CSV), "p", in_full(numbers.p_value)),
    Column("seeds_needed_low", _needed("low")),
    Column("wins_of_n", _of_arms(lambda _, row: row.improvement), (RESULTS,), "P(better)", in_full(numbers.improvement)),
    Column("verdict", lambda _, row: row.verdict),
    Column("outcome", lambda _, row: row.outcome, (RESULTS, TERMINAL), "verdict", is_words=True),
    Column("parameters", lambda _, row: row.parameters, (COST, CSV), "parameters", in_full(numbers.exact)),
    Column("parameters", lambda _, row: row.parameters, (TERMINAL,), "params", in_full(numbers.count)),
    Column("macs", lambda _, row: row.macs, (COST, CSV), "multiply-adds", in_full(numbers.count)),
    Column("macs", lambda _, row: row.macs, (TERMINAL,), "MACs", in_full(numbers.count)),
    Column("train_seconds", lambda _, row: row.train_seconds, (COST, TERMINAL, CSV), "seconds per trial", _SECONDS, "s/trial"),
    Column("train_images_per_second", lambda _, row: row.images_per_second, (COST, CSV), "images/s in trials", _RATE),
    Column("difference_se", _compared(lambda one: one.standard_error)),
    Column("improvement", _share("share")),
    Column("improvement_low", _share("low")),
    Column("improvement_high", _share("high")),
    Column("wins", _share("wins")),
    Column("ties", _share("ties")),
    Column("latency_ms", _speed("latency_ms"), (SPEED, CSV), "latency ms", _SECONDS),
    Column("inference_images_per_second", _speed("inference_images_per_second"), (SPEED, CSV), "inference images/s", _RATE),
    Column("train_step_images_per_second", _speed("train_images_per_second"), (SPEED, CSV), "training-step images/s", _RATE),
    Column("peak_memory_bytes", _speed("peak_memory_bytes"), (SPEED, CSV), "peak memory MiB", in_full(numbers.mebibytes)),
    Column("step_seconds", _speed("step_seconds")),
    Column("baseline_n", _compared(lambda one: len(one.baseline_seeds))),
    Column("degrees_of_freedom", _compared(lambda one: one.degrees)),
    Column("seeds_needed_high", _needed("high")),
    Column("pairing", _compared(lambda one: "seeds" if one.in_pairs else "none")),
    Column("margin", lambda summary, _: summary.margin),
    Column("exploratory", _of_arms(lambda _, row: row.exploratory)),
    Column("warnings", lambda summary, _: " ".join(summary.warnings)),
)  # fmt: skip

MEANINGS = {
    "arm": "Name of the arm. A name that a spreadsheet would compute has an apostrophe in front (in the file alone).",
    "metric": "The metric that decides, such as `test/acc1`; the same in every row.",
    "n": "Trials of the arm that are done, one for each seed.",
    "mean": "Mean of the metric over these trials, in the metric's own unit (accuracies from 0 to 1).",
    "sd": "Standard deviation over the seeds; exists from 2 seeds on.",
    "low": "Lower end of the 95 % t-interval of `mean`.",
    "high": "Upper end of the 95 % t-interval of `mean`.",
    "compared_n": "Seeds of this arm that the comparison with the baseline uses.",
    "difference": "Mean of this arm minus mean of the baseline, in the metric's unit; the baseline has no difference.",
    "difference_low": "Lower end of the interval of `difference`. The intervals of all arms hold at once in 95 % of experiments.",
    "difference_high": "Upper end of the same interval.",
    "p": "Two-sided p-value of this comparison alone.",
    "p_corrected": "The p-value corrected for all comparisons, step by step; the verdict goes by it.",
    "seeds_needed_low": "Fewest seeds of each arm that would show a difference of this size in 80 % of experiments.",
    "verdict": "`baseline`, `better`, `worse`, `equivalent` (alone or `better and equivalent`), `open` or `not compared`.",
    "parameters": "Learned parameters of the model.",
    "macs": "Multiply-adds of matrix products and convolutions for one image.",
    "train_seconds": "Mean training time of a trial, in seconds; trials may have shared the machine.",
    "train_images_per_second": "Training images of all done trials divided by their training time.",
    "difference_se": "Standard error of `difference`.",
    "improvement": "P(better): the share of the seeds common to arm and baseline in which the arm is better; a tie counts half.",
    "improvement_low": "Lower end of the exact 95 % interval of P(better).",
    "improvement_high": "Upper end of the same interval.",
    "wins": "Common seeds in which the arm is better.",
    "ties": "Common seeds in which both are equal.",
    "latency_ms": "Milliseconds for one image alone, measured side by side with the other arms (`speed.json`).",
    "inference_images_per_second": "Images per second of the model alone on whole batches, measured likewise.",
    "train_step_images_per_second": "Images per second of training steps on whole batches, measured likewise.",
    "peak_memory_bytes": "Peak memory of a training step in bytes, measured likewise.",
    "step_seconds": "Seconds for a training step, measured likewise.",
    "baseline_n": "Seeds of the baseline that the comparison uses.",
    "degrees_of_freedom": "Degrees of freedom of the t-test.",
    "seeds_needed_high": "Most seeds that it may need; `over the cap` if more than 1000 or no number would do.",
    "pairing": "`seeds` if pairs of equal seeds were compared, `none` if means were.",
    "margin": "The smallest difference that matters, if the ablation declares one.",
    "exploratory": "Whether the verdict is new since the first of several undeclared looks at the results.",
    "warnings": "What makes the numbers doubtful, in sentences; the same in every row.",
}  # fmt: skip
"""What each column of report.csv holds, by its key; ``docs/results.md`` shows them."""

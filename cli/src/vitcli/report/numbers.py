"""How numbers are written in the report: as many decimals as the intervals justify, the same in every row."""

import math
from collections.abc import Iterable

from vitcli.report.summary import Summary
from vitcli.statistics.against_baseline import Difference
from vitcli.statistics.comparison import Estimate
from vitcli.statistics.improvement import Improvement
from vitcli.statistics.planning import SeedRange
from vitcli.statistics.significance import SEED_CAP, SeedsNeeded

ABSENT = "-"


def decimals(summary: Summary) -> int:
    """Return how many decimals give the median half-width two significant digits; 4 if there is no interval."""
    return decimals_of(row.result.half_width for row in summary.rows if row.result.half_width)


def decimals_of(half_widths: Iterable[float]) -> int:
    """Return how many decimals give the median of these half-widths two significant digits; 4 if there is none."""
    widths = sorted(half_widths)
    if not widths:
        return 4
    return min(max(1 - math.floor(math.log10(widths[len(widths) // 2])), 0), 6)


def value(number: float | None, decimals: int) -> str:
    """``0.8312``, or a dash."""
    return ABSENT if number is None else f"{number:.{decimals}f}"


def with_half_width(estimate: Estimate, decimals: int) -> str:
    """``0.8312 ± 0.0057``; the mean alone where there is no interval."""
    if estimate.half_width is None:
        return value(estimate.mean, decimals)
    return f"{estimate.mean:.{decimals}f} ± {estimate.half_width:.{decimals}f}"


def signed(number: float | None, decimals: int) -> str:
    """``+0.0312``, or a dash."""
    return ABSENT if number is None else f"{number:+.{decimals}f}"


def signed_with_half_width(estimate: Estimate, decimals: int) -> str:
    """``+0.0312 ± 0.0191``, for differences."""
    if estimate.half_width is None:
        return signed(estimate.mean, decimals)
    return f"{estimate.mean:+.{decimals}f} ± {estimate.half_width:.{decimals}f}"


def interval(ends: tuple[float, float] | None, decimals: int) -> str:
    """``[0.012, 0.050]``, or a dash."""
    return ABSENT if ends is None else f"[{ends[0]:.{decimals}f}, {ends[1]:.{decimals}f}]"


def difference(found: Difference, decimals: int) -> str:
    """``+0.0312 [0.012, 0.050]``; the difference alone where there is no interval."""
    middle = signed(found.value, decimals)
    return middle if found.interval is None else f"{middle} {interval(found.interval, decimals)}"


def short_difference(found: Difference, decimals: int) -> str:
    """``+0.0312 ± 0.0191``; the difference alone where there is no interval."""
    middle = signed(found.value, decimals)
    return middle if found.half_width is None else f"{middle} ± {found.half_width:.{decimals}f}"


def seed_range(found: SeedRange) -> str:
    """``12 to 480``, ``12 to more than 1000``, ``more than 1000``; empty where it is not defined."""
    if found.low == "not defined":
        return ""
    low, high = _seeds(found.low), _seeds(found.high)
    return low if low == high else f"{low} to {high}"


def _seeds(number: SeedsNeeded) -> str:
    return f"more than {SEED_CAP}" if number == "over the cap" else str(number)


def p_value(number: float | None) -> str:
    """``0.004``, ``<0.001``, or a dash."""
    if number is None:
        return ABSENT
    return "<0.001" if number < 0.001 else f"{number:.3f}" if number < 0.0995 else f"{number:.2f}"


def p_equals(number: float | None) -> str:
    """``p = 0.004``, ``p < 0.001``."""
    text = p_value(number)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def count(number: float | None) -> str:
    """``123k``, ``3.46M``, ``1.25G``: three significant digits."""
    if number is None:
        return ABSENT
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:
            return f"{_three_digits(number / size)}{unit}"
    return f"{number:.0f}"


def exact(number: int | None) -> str:
    """``123,456``, or a dash."""
    return ABSENT if number is None else f"{number:,}"


def seconds(number: float | None) -> str:
    """``31.2``, ``312``."""
    return ABSENT if number is None else _three_digits(number)


def rate(number: float | None) -> str:
    """``1234`` or ``12.3`` images per second."""
    return ABSENT if number is None else _three_digits(number)


def mebibytes(number: int | None) -> str:
    """``151`` for 158 million bytes."""
    return ABSENT if number is None else _three_digits(number / 2**20)


def improvement(found: Improvement | None) -> str:
    """``0.70 (3.5 of 5)``: the share, and the seeds won of all, where a tie counts half; a dash without a comparison."""
    if found is None:
        return ABSENT
    return f"{found.share:.2f} ({found.wins + found.ties / 2:g} of {found.n})"


def _three_digits(number: float) -> str:
    decimals = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:.{decimals}f}"

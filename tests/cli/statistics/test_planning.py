import numpy as np
import pytest
from scipy import stats

from vitcli.statistics.against_baseline import Comparisons, Difference, compare_with_baseline
from vitcli.statistics.planning import Allocation, SeedRange, allocations, interval_width, seeds_range, warning


def by_seed(values) -> dict[int, float]:
    return dict(enumerate(map(float, values)))


def found(value: float, standard_error: float, degrees: float, n: int) -> tuple[Difference, Comparisons]:
    one = Difference(tuple(range(n)), tuple(range(n)), value, standard_error, degrees)
    return one, Comparisons({"a": one}, "none", None, 0.05, 0.05)


def test_the_ends_are_the_seeds_at_the_exact_limits_of_the_effect():
    t, degrees, n = 4.0, 18.0, 10
    ends = seeds_range(*found(t, 1.0, degrees, n))
    for seeds, chance in ((ends.low, 0.9), (ends.high, 0.1)):
        shift = next(x for x in np.linspace(0, 10, 10_001) if stats.nct.sf(t, degrees, x) >= chance)
        power = [power_at(shift, seeds - before, degrees, n) for before in (1, 0)]
        assert power[0] < 0.8 <= power[1]


def power_at(shift: float, seeds: float, degrees: float, n: int) -> float:
    df = degrees * seeds / n
    return stats.nct.sf(stats.t.isf(0.025, df), df, shift * np.sqrt(seeds / n))


def test_the_range_is_wide_with_five_seeds_and_narrows_with_more():
    few, many = (seeds_range(*found(1.7, 1.0, 2 * n - 2, n)) for n in (5, 50))
    assert few.low < 10
    assert few.high == "over the cap" or few.high > 400
    close = seeds_range(*found(12.0, 1.0, 98.0, 50))
    assert close.high / close.low < 2
    assert isinstance(many, SeedRange)


def test_a_difference_that_may_be_none_has_no_upper_end():
    assert seeds_range(*found(0.5, 1.0, 8.0, 5)).high == "over the cap"


@pytest.mark.parametrize("t", [50.0, 1e3, 1e6])
def test_a_huge_difference_needs_hardly_any_seeds(t):
    ends = seeds_range(*found(t, 1.0, 8.0, 5))
    assert 2 <= ends.low <= ends.high <= 3


def test_without_a_difference_or_a_test_nothing_can_be_planned():
    undefined = SeedRange("not defined", "not defined")
    assert seeds_range(*found(0.0, 1.0, 8.0, 5)) == undefined
    untested = compare_with_baseline({0: 0.7}, {"a": {0: 0.8}}, "max")
    assert seeds_range(untested.differences["a"], untested) == undefined


def test_the_width_is_that_of_the_intervals_of_equal_spreads():
    baseline, arms = by_seed([-1, 1] * 5), {f"a{i}": by_seed([-1, 1] * 3) for i in range(4)}
    one = compare_with_baseline(baseline, arms, "max", "none").differences["a0"]
    spread = np.std([-1, 1] * 5, ddof=1), np.std([-1, 1] * 3, ddof=1)
    assert spread[0] < one.interval[1] / interval_width(Allocation(10, 6), 4) < spread[1]


def test_the_best_division_of_thirty_trials_gives_the_baseline_more():
    best, *others = allocations(4, 30)
    assert best == Allocation(10, 5)
    assert Allocation(6, 6) in others
    assert interval_width(best, 4, 3.0) < 0.85 * interval_width(Allocation(6, 6), 4, 3.0)
    assert allocations(4, 30, 1.0)[0] == Allocation(6, 6)
    assert all(one.trials(4) <= 30 for one in (best, *others))
    assert allocations(4, 14) == ()


def test_suggested_allocations_are_those_whose_error_was_simulated():
    for comparisons, trials in ((1, 12), (4, 60), (18, 120), (50, 400)):
        suggested = allocations(comparisons, trials)
        assert suggested
        assert all(warning(one, comparisons) is None for one in suggested)


@pytest.mark.parametrize(
    ("allocation", "comparisons", "message"),
    [
        (Allocation(5, 2), 4, "fewer than 3 seeds of an arm say too little about its spread; take 3 or more."),
        (Allocation(13, 3), 4, "take 3 to 9."),
        (Allocation(21, 5), 18, "take 5 to 15."),
        (Allocation(4, 5), 4, "take 5 to 15."),
        (Allocation(10, 5), 51, "51 comparisons: the error is known for up to 50; split the ablation."),
    ],
)
def test_other_allocations_are_warned_of(allocation, comparisons, message):
    assert message in (warning(allocation, comparisons) or "")

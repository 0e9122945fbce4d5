import numpy as np
import pytest
from scipy import stats

from vitcli.statistics.unequal_spreads import Moments, degrees_of_freedom, paired, welch


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def satterthwaite(a: float, b: float, n_a: int, n_b: int) -> float:
    return (a + b) ** 2 / (a**2 / (n_a - 1) + b**2 / (n_b - 1))


def test_difference_and_standard_error_are_welchs(rng):
    baseline, arm = rng.normal(size=10), rng.normal(0.5, 3, size=5)
    test = welch(Moments.of(baseline), Moments.of(arm))
    found = stats.ttest_ind(arm, baseline, equal_var=False)
    assert float(test.difference) == pytest.approx(arm.mean() - baseline.mean())
    assert float(test.difference / test.standard_error) == pytest.approx(found.statistic)
    assert float(test.shared) == pytest.approx(baseline.var(ddof=1) / 10 / float(test.standard_error) ** 2)


def test_degrees_of_freedom_are_satterthwaites_at_the_worse_end_of_the_interval_of_the_ratio():
    a, b, n_a, n_b = 0.3, 0.1, 5, 10
    ends = [b * stats.f.ppf(chance, n_a - 1, n_b - 1) for chance in (0.05, 0.95)]
    worse = min(satterthwaite(a, end, n_a, n_b) for end in ends)
    assert float(degrees_of_freedom(*map(np.array, (a, b, n_a, n_b)))) == pytest.approx(worse)
    assert worse < satterthwaite(a, b, n_a, n_b)


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 13), (5, 10), (20, 20)])
def test_degrees_of_freedom_lie_between_the_smaller_groups_and_the_sum(n_a, n_b):
    ratio = np.logspace(-4, 4, 81)
    degrees = degrees_of_freedom(ratio, np.ones_like(ratio), np.array(n_a), np.array(n_b))
    assert (degrees >= min(n_a, n_b) - 1 - 1e-9).all()
    assert (degrees <= n_a + n_b - 2 + 1e-9).all()


def test_with_many_seeds_the_test_is_welchs(rng):
    baseline, arm = rng.normal(size=2000), rng.normal(0.05, 2, size=1500)
    test = welch(Moments.of(baseline), Moments.of(arm))
    assert float(test.p_values) == pytest.approx(stats.ttest_ind(arm, baseline, equal_var=False).pvalue, rel=1e-3)


def test_where_one_group_does_not_vary_the_other_ones_seeds_count(rng):
    baseline = rng.normal(size=10)
    test = welch(Moments.of(baseline), Moments.of(np.full(5, 0.4)))
    assert float(test.degrees) == 9
    assert float(test.p_values) == pytest.approx(stats.ttest_1samp(baseline, 0.4).pvalue)


def test_without_any_spread_equal_means_have_p_1_and_others_no_p_value():
    flat = Moments.of(np.zeros(5))
    assert float(welch(flat, flat).p_values) == 1
    assert np.isnan(welch(flat, Moments.of(np.ones(5))).p_values)


def test_pairs_are_tested_as_student_does(rng):
    a, b = rng.normal(size=(2, 4, 6))
    assert paired(a - b).p_values == pytest.approx(stats.ttest_rel(a, b, axis=-1).pvalue)

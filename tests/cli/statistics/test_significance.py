import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vitcli.statistics import significance

REPEATS = 20_000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_interval_of_three_values_is_the_hand_computed_one():
    # mean 3, sd sqrt((4 + 1 + 9) / 2) = 2.6458, t(0.975, 2) = 4.3027, half-width 4.3027 * 2.6458 / sqrt(3) = 6.5724
    mean, sd, half_width = significance.mean_interval(np.array([1.0, 2.0, 6.0]))
    assert (float(mean), float(sd)) == (3.0, pytest.approx(math.sqrt(7)))
    assert float(half_width) == pytest.approx(6.5724, abs=1e-4)


def test_the_interval_is_scipys(rng):
    values = rng.normal(size=(7, 5))
    mean, _, half_width = significance.mean_interval(values)
    for row, m, h in zip(values, mean, half_width, strict=True):
        low, high = scipy_stats.t.interval(0.95, 4, loc=row.mean(), scale=scipy_stats.sem(row))
        assert (m - h, m + h) == (pytest.approx(low), pytest.approx(high))


def test_the_p_value_is_scipys_paired_t_test(rng):
    a, b = rng.normal(size=(2, 9, 4))
    assert significance.t_test(a - b) == pytest.approx(scipy_stats.ttest_rel(a, b, axis=-1).pvalue)


def test_the_p_value_of_one_two_three_is_the_hand_computed_one():
    # t = 2 / (1 / sqrt(3)) = 3.4641 on 2 degrees of freedom: p = 1 - t / sqrt(2 + t^2) = 0.0742
    assert float(significance.t_test(np.array([1.0, 2.0, 3.0]))) == pytest.approx(1 - math.sqrt(12 / 14))


def test_equal_differences_have_no_p_value_and_zero_differences_have_one():
    p_values = significance.t_test(np.array([[0.1, 0.1, 0.1], [0.0, 0.0, 0.0]]))
    assert math.isnan(p_values[0])
    assert p_values[1] == 1.0


@pytest.mark.parametrize("function", [significance.mean_interval, significance.t_test])
@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_values_are_refused(function, n):
    with pytest.raises(ValueError, match=f"needs 2 (values|differences) or more, got {n}"):
        function(np.zeros(n))


def test_holm_is_the_hand_computed_one():
    # sorted 0.01 * 4, 0.03 * 3, 0.04 * 2 -> raised to 0.09, 0.2 * 1
    assert significance.holm(np.array([0.01, 0.04, 0.03, 0.2])) == pytest.approx([0.04, 0.09, 0.09, 0.2])
    assert significance.holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])
    assert significance.holm(np.array([0.03])) == pytest.approx([0.03])


def test_holm_rejects_at_least_what_bonferroni_rejects_and_no_more_than_uncorrected(rng):
    p_values = rng.uniform(0, 0.05, size=(500, 6))
    adjusted = significance.holm(p_values)
    assert (adjusted <= np.minimum(6 * p_values, 1)).all()
    assert (adjusted >= p_values).all()


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_95_percent_intervals_hold_the_true_mean_in_95_percent_of_repetitions(rng, n):
    mean, _, half_width = significance.mean_interval(rng.normal(0.8, 0.02, size=(REPEATS, n)))
    assert (np.abs(mean - 0.8) <= half_width).mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_familywise_error_under_the_null_is_at_most_5_percent(rng, n):
    arms, shared = 4, rng.normal(size=(REPEATS, 1, n))
    values = shared + rng.normal(size=(REPEATS, arms + 1, n))
    adjusted = significance.holm(significance.t_test(values[:, 1:] - values[:, :1]))
    false_alarms = (adjusted <= significance.ALPHA).any(-1).mean()
    monte_carlo = 3 * math.sqrt(0.05 * 0.95 / REPEATS)
    assert false_alarms <= 0.05 + monte_carlo
    uncorrected = (significance.t_test(values[:, 1:] - values[:, :1]) <= significance.ALPHA).any(-1).mean()
    assert uncorrected > 0.08


def test_pairing_shrinks_the_interval_when_seeds_share_noise(rng):
    shared = rng.normal(0, 0.02, size=(2000, 5))
    a, b = shared + rng.normal(0, 0.005, size=(2, 2000, 5))
    paired = significance.mean_interval(a - b)[2].mean()
    unpaired = significance.mean_interval(a - rng.permuted(b, axis=-1))[2].mean()
    assert paired < 0.5 * unpaired

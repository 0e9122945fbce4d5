import math

import numpy as np
import pytest
from scipy import stats

from vitcli.statistics.joint import joint_error, level_of_each, step_down
from vitcli.statistics.significance import holm


def test_with_nothing_shared_the_error_is_sidaks():
    for p_value in (0.2, 0.05, 1e-6):
        assert float(joint_error(np.array(p_value), np.zeros(7))) == pytest.approx(1 - (1 - p_value) ** 7, rel=1e-4)


@pytest.mark.parametrize("shared", [0.1, 0.5, 0.9])
def test_the_error_is_that_of_correlated_normal_numbers(shared):
    k, p_value = 4, 0.02
    correlation = np.full((k, k), shared) + (1 - shared) * np.eye(k)
    critical = np.full(k, stats.norm.ppf(1 - p_value / 2))
    normal = stats.multivariate_normal(np.zeros(k), correlation, seed=1)
    inside = normal.cdf(critical, lower_limit=-critical)
    assert float(joint_error(np.array(p_value), np.full(k, shared))) == pytest.approx(1 - inside, abs=5e-4)


def test_the_critical_value_is_the_one_in_dunnetts_table():
    # Two-sided 5 %, four treatments of equal size and infinitely many degrees of freedom: 2.44.
    each = level_of_each(np.full(4, 0.5), 0.05)
    assert stats.norm.ppf(1 - each / 2) == pytest.approx(2.44, abs=0.005)


def test_more_in_common_is_less_error_and_never_more_than_bonferroni():
    errors = [float(joint_error(np.array(0.01), np.full(10, shared))) for shared in (0.0, 0.3, 0.6, 0.9)]
    assert errors == sorted(errors, reverse=True)
    assert 0.01 < errors[-1] < errors[0] <= 0.1


def test_one_comparison_is_not_corrected():
    assert float(joint_error(np.array(0.03), np.array([0.4]))) == pytest.approx(0.03, abs=1e-4)
    assert level_of_each(np.array([0.4]), 0.05) == pytest.approx(0.05, abs=1e-4)


def test_with_nothing_shared_the_steps_are_a_little_better_than_holms():
    p_values = np.array([0.01, 0.04, 0.03, 0.2])
    adjusted = step_down(p_values, np.zeros(4))
    sidak = [1 - 0.99**4, 1 - 0.97**3, 1 - 0.97**3, 0.2]
    assert adjusted == pytest.approx(sidak, abs=1e-3)
    assert (adjusted <= holm(p_values) + 1e-4).all()


def test_adjusted_p_values_keep_the_order_and_the_axes():
    rng = np.random.default_rng(0)
    p_values, shared = rng.uniform(size=(3, 5, 6)), rng.uniform(size=(3, 5, 6))
    adjusted = step_down(p_values, shared)
    assert (adjusted >= p_values - 1e-4).all()
    assert (np.diff(np.take_along_axis(adjusted, p_values.argsort(-1), -1)) >= 0).all()
    assert adjusted[1, 2] == pytest.approx(step_down(p_values[1, 2], shared[1, 2]))


def test_the_level_of_each_interval_gives_the_level_of_all():
    shared = np.array([0.1, 0.8, 0.5])
    each = level_of_each(shared, 0.05)
    assert float(joint_error(np.array(each), shared)) == pytest.approx(0.05)
    assert 0.05 / 3 < each < 0.05
    assert math.isfinite(level_of_each(np.full(50, 0.5), 0.05))

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vitcli.statistics.improvement import improvement


def counted(wins: int, ties: int, losses: int):
    return improvement(np.array([1.0] * wins + [0.0] * ties + [-1.0] * losses))


def test_the_share_counts_seeds_won_and_half_of_the_ties():
    assert counted(4, 0, 1).share == 0.8
    assert counted(3, 1, 1).share == 0.7
    assert counted(0, 2, 0).share == 0.5


@pytest.mark.parametrize("n", [1, 2, 3, 5, 20])
def test_all_seeds_won_leave_the_hand_computed_doubt(n):
    # The smallest probability p with p^n >= 2.5 %.
    found = counted(n, 0, 0)
    assert (found.low, found.high) == (pytest.approx(0.025 ** (1 / n)), 1.0)
    assert (counted(0, 0, n).low, counted(0, 0, n).high) == (0.0, pytest.approx(1 - 0.025 ** (1 / n)))


@pytest.mark.parametrize(("wins", "n"), [(1, 3), (4, 5), (7, 20)])
def test_the_interval_is_scipys_exact_one(wins, n):
    exact = scipy_stats.binomtest(wins, n).proportion_ci(0.95, method="exact")
    found = counted(wins, 0, n - wins)
    assert (found.low, found.high) == (pytest.approx(exact.low), pytest.approx(exact.high))


def test_a_tie_is_lost_at_the_low_end_and_won_at_the_high_end():
    found = counted(3, 1, 1)
    assert found.low == counted(3, 0, 2).low
    assert found.high == counted(4, 0, 1).high


def test_ties_alone_say_nothing():
    assert (counted(0, 5, 0).low, counted(0, 5, 0).high) == (0.0, 1.0)


def test_no_seed_is_refused():
    with pytest.raises(ValueError, match="needs 1 seed or more, got 0"):
        improvement(np.array([]))


@pytest.mark.parametrize("n", [2, 3, 5, 20])
@pytest.mark.parametrize("effect", [0.0, 0.5, 1.5])
def test_the_interval_holds_the_true_probability_in_at_least_95_percent_of_repetitions(n, effect):
    gains = np.random.default_rng(0).normal(effect, 1.0, size=(4000, n))
    true = scipy_stats.norm.cdf(effect)
    ends = {wins: counted(wins, 0, n - wins) for wins in range(n + 1)}
    held = np.mean([ends[wins].low <= true <= ends[wins].high for wins in (gains > 0).sum(-1)])
    assert held >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 4000)

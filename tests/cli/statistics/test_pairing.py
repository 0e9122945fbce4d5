import math

import numpy as np
import pytest
from scipy import stats

from vitcli.statistics.pairing import seed_correlation


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_one_arm_has_pearsons_correlation_and_its_p_value(rng):
    baseline, arm = rng.normal(size=(2, 8))
    found, pearson = seed_correlation(baseline, arm[None]), stats.pearsonr(baseline, arm)
    assert float(found.mean) == pytest.approx(pearson.statistic)
    assert float(found.p_value) == pytest.approx(pearson.pvalue)


def test_several_arms_are_standardised_and_tested_by_their_mean(rng):
    baseline, arms = rng.normal(size=6), rng.normal(size=(3, 6)) * [[1], [10], [0.1]]
    found = seed_correlation(baseline, arms)
    typical = stats.zscore(arms, axis=-1).mean(0)
    assert float(found.mean) == pytest.approx(np.mean([stats.pearsonr(baseline, arm).statistic for arm in arms]))
    assert float(found.p_value) == pytest.approx(stats.pearsonr(baseline, typical).pvalue)


def test_a_missing_seed_is_left_out(rng):
    baseline, arm = rng.normal(size=(2, 8))
    holed = arm.copy()
    holed[3] = math.nan
    kept = np.arange(8) != 3
    pearson = stats.pearsonr(baseline[kept], arm[kept])
    found = seed_correlation(baseline, holed[None])
    assert (float(found.mean), float(found.p_value)) == (
        pytest.approx(pearson.statistic),
        pytest.approx(pearson.pvalue),
    )


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [0.5, math.nan, math.nan], [0.1, 0.2, math.nan]])
def test_what_cannot_be_correlated_does_not_help(values):
    found = seed_correlation(np.array([0.3, 0.1, 0.2]), np.array([values]))
    assert not found.helps


def test_an_arm_without_spread_changes_nothing(rng):
    baseline, arm = rng.normal(size=(2, 8))
    alone, both = (seed_correlation(baseline, arms) for arms in (arm[None], np.stack([arm, np.full(8, 0.9)])))
    assert (float(both.mean), float(both.p_value)) == (
        pytest.approx(float(alone.mean)),
        pytest.approx(float(alone.p_value)),
    )


def test_independent_seeds_are_called_correlated_in_two_of_a_hundred_experiments_whatever_arms_have_in_common(rng):
    arms = rng.normal(size=(20_000, 1, 5)) + 0.3 * rng.normal(size=(20_000, 4, 5))
    assert seed_correlation(rng.normal(size=(20_000, 5)), arms).helps.mean() == pytest.approx(0.02, abs=0.003)


def test_a_high_correlation_is_seen_with_five_seeds(rng):
    common = rng.normal(size=(5000, 1, 5))
    values = math.sqrt(0.95) * common + math.sqrt(0.05) * rng.normal(size=(5000, 5, 5))
    assert seed_correlation(values[:, 0], values[:, 1:]).helps.mean() > 0.8

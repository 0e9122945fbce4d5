import numpy as np
import pytest
from scipy import stats

from vitcli.statistics.against_baseline import compare_with_baseline


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def by_seed(values) -> dict[int, float]:
    return dict(enumerate(map(float, values)))


def named(values) -> dict[str, dict[int, float]]:
    return {f"arm{i}": by_seed(row) for i, row in enumerate(values)}


def test_without_pairs_all_seeds_of_both_sides_are_used(rng):
    baseline, arm = rng.normal(0.7, 0.03, 10), rng.normal(0.75, 0.01, 5)
    found = compare_with_baseline(by_seed(baseline), {"a": by_seed(arm)}, "max", pairing="none")
    one = found.differences["a"]
    assert found.pairing == "none"
    assert one.value == pytest.approx(arm.mean() - baseline.mean())
    assert one.value / one.standard_error == pytest.approx(stats.ttest_ind(arm, baseline, equal_var=False).statistic)
    assert (len(one.arm_seeds), len(one.baseline_seeds)) == (5, 10)
    assert one.p_adjusted == pytest.approx(one.p_value, abs=1e-4)


def test_declared_pairs_are_compared_as_student_does_over_common_seeds(rng):
    baseline, arm = rng.normal(size=(2, 8))
    values = {seed: value for seed, value in by_seed(arm).items() if seed != 2}
    one = compare_with_baseline(by_seed(baseline[:6]), {"a": values}, "max", pairing="seeds").differences["a"]
    kept = [0, 1, 3, 4, 5]
    assert one.arm_seeds == one.baseline_seeds == tuple(kept)
    assert one.p_value == pytest.approx(stats.ttest_rel(arm[kept], baseline[kept]).pvalue)
    low, high = stats.ttest_rel(arm[kept], baseline[kept]).confidence_interval()
    assert one.interval == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


def test_pairs_are_used_where_the_data_show_that_they_help(rng):
    common = rng.normal(size=8)
    alike = common + 0.1 * rng.normal(size=(4, 8))
    found = compare_with_baseline(by_seed(common), named(alike), "max")
    assert found.pairing == "seeds"
    assert found.correlation is not None
    assert found.correlation.mean > 0.9
    independent = compare_with_baseline(by_seed(rng.normal(size=8)), named(rng.normal(size=(4, 8))), "max")
    assert independent.pairing == "none"


def test_an_arm_without_common_seeds_is_compared_by_its_mean_unless_pairs_are_declared(rng):
    common = rng.normal(size=8)
    arms = named(common + 0.1 * rng.normal(size=(3, 8)))
    arms["other"] = {100 + seed: value for seed, value in by_seed(rng.normal(size=8)).items()}
    found = compare_with_baseline(by_seed(common), arms, "max")
    assert found.pairing == "seeds"
    assert found.differences["other"].arm_seeds == tuple(range(100, 108))
    assert {arm: one.in_pairs for arm, one in found.differences.items()} == {
        **dict.fromkeys(arms, True),
        "other": False,
    }
    declared = compare_with_baseline(by_seed(common), arms, "max", pairing="seeds").differences["other"]
    assert (declared.verdict, declared.value) == ("not compared", None)


def test_better_depends_on_the_direction(rng):
    baseline, arms = by_seed(rng.normal(0, 0.01, 5)), named(rng.normal(1, 0.01, (1, 5)))
    assert compare_with_baseline(baseline, arms, "max").differences["arm0"].verdict == "better"
    assert compare_with_baseline(baseline, arms, "min").differences["arm0"].verdict == "worse"


def test_each_interval_is_the_t_interval_at_the_level_of_each(rng):
    baseline = rng.normal(size=6)
    found = compare_with_baseline(by_seed(baseline), named(rng.normal(size=(3, 4))), "max", pairing="none")
    for one in found.differences.values():
        low, high = stats.t.interval(1 - found.level_of_each, one.degrees, one.value, one.standard_error)
        assert one.interval == (pytest.approx(low), pytest.approx(high))
    assert 0.05 / 3 < found.level_of_each < 0.05


def test_an_interval_without_zero_is_always_a_verdict_and_exceptions_to_the_converse_are_reported(rng):
    disagreements = 0
    for _ in range(200):
        means = rng.uniform(0, 4, size=(4, 1))
        found = compare_with_baseline(by_seed(rng.normal(size=6)), named(means + rng.normal(size=(4, 6))), "max")
        for one in found.differences.values():
            without_zero = not one.interval[0] <= 0 <= one.interval[1]
            assert (one.verdict != "open") >= without_zero
            assert one.interval_holds_zero == (one.verdict != "open" and not without_zero)
            disagreements += one.interval_holds_zero
    assert disagreements > 5


def test_with_a_margin_small_differences_are_equivalent(rng):
    baseline, arms = rng.normal(0, 0.01, 20), rng.normal([[0], [0.05], [1]], 0.01, (3, 20))
    verdicts = compare_with_baseline(by_seed(baseline), named(arms), "max", margin=0.1).differences
    assert [one.verdict for one in verdicts.values()] == ["equivalent", "better and equivalent", "better"]
    worse = compare_with_baseline(by_seed(baseline), named(arms), "min", margin=0.1).differences
    assert worse["arm1"].verdict == "worse and equivalent"
    without = compare_with_baseline(by_seed(baseline), named(arms), "max").differences
    assert without["arm0"].verdict == "open"


def test_what_is_open_is_listed(rng):
    arms = {**named(rng.normal([[0], [9]], 1, (2, 5))), "one": {0: 1.0}}
    assert compare_with_baseline(by_seed(rng.normal(size=5)), arms, "max").open == ("arm0", "one")


@pytest.mark.parametrize(
    ("arm", "value", "verdict"),
    [([], None, "not compared"), ([0.8], 0.1, "not compared"), ([0.8, 0.9], 0.15, "open")],
)
def test_fewer_than_two_seeds_are_not_compared(arm, value, verdict):
    one = compare_with_baseline({0: 0.6, 1: 0.8}, {"a": by_seed(arm)}, "max").differences["a"]
    assert (one.value, one.verdict) == (pytest.approx(value), verdict)
    assert (one.p_value is None) == (verdict == "not compared")


@pytest.mark.parametrize("pairing", ["estimated", "seeds", "none"])
def test_equal_results_without_any_spread_have_p_1_and_no_interval(pairing):
    one = compare_with_baseline({0: 0.7, 1: 0.7}, {"a": {0: 0.7, 1: 0.7}}, "max", pairing).differences["a"]
    assert (one.p_value, one.interval, one.verdict) == (1.0, None, "open")


@pytest.mark.parametrize("pairing", ["estimated", "seeds", "none"])
def test_different_results_without_any_spread_have_no_test(pairing):
    one = compare_with_baseline({0: 0.7, 1: 0.7}, {"a": {0: 0.8, 1: 0.8}}, "max", pairing).differences["a"]
    assert (one.value, one.p_value, one.p_adjusted, one.interval) == (pytest.approx(0.1), None, None, None)
    assert one.verdict == "open"


def test_differences_within_float32_rounding_are_none():
    rounded = [float(np.float32(0.7) + np.float32(6e-8) * i) for i in range(3)]
    one = compare_with_baseline(by_seed([0.7] * 3), {"a": by_seed(rounded)}, "max").differences["a"]
    assert (one.value, one.p_value) == (0.0, 1.0)


def test_an_untested_arm_does_not_weaken_the_others(rng):
    baseline, arm = by_seed(rng.normal(size=5)), by_seed(rng.normal(size=5))
    alone = compare_with_baseline(baseline, {"a": arm}, "max", "none").differences["a"]
    beside = compare_with_baseline(baseline, {"a": arm, "b": {0: 1.0}}, "max", "none").differences["a"]
    assert alone == beside


def test_without_arms_or_results_there_are_no_comparisons():
    assert compare_with_baseline({}, {}, "max").differences == {}
    assert compare_with_baseline({}, {"a": {}}, "max").differences["a"].verdict == "not compared"

import math

import numpy as np
import pytest

from vitcli.statistics.comparison import compare_pairs, estimate

BASE = {0: 0.80, 1: 0.82, 2: 0.81, 3: 0.79}


def shifted(*differences: float) -> dict[int, float]:
    return {seed: BASE[seed] + difference for seed, difference in enumerate(differences)}


def against_base(direction="max", **arms: dict[int, float]):
    return compare_pairs({name: (arm, BASE) for name, arm in arms.items()}, direction)


def test_no_value_has_no_mean_and_one_value_no_interval():
    nothing, one = estimate([]), estimate([0.8])
    assert (nothing.n, nothing.mean, nothing.interval) == (0, None, None)
    assert (one.n, one.mean, one.sd, one.interval) == (1, 0.8, None, None)


def test_two_values_have_an_interval_of_nine_standard_deviations():
    two = estimate([0.80, 0.82])
    assert two.half_width / two.sd == pytest.approx(8.98, abs=0.01)


def test_a_clear_difference_is_better_and_its_mirror_image_worse():
    found = against_base(up=shifted(0.03, 0.031, 0.029, 0.03), down=shifted(-0.03, -0.031, -0.029, -0.03))
    assert (found["up"].verdict, found["down"].verdict) == ("better", "worse")
    assert found["up"].difference.mean == pytest.approx(0.03)


def test_a_smaller_value_is_better_where_the_metric_says_so():
    assert against_base("min", down=shifted(-0.03, -0.031, -0.029, -0.03))["down"].verdict == "better"


def test_a_difference_within_the_noise_leaves_the_question_open():
    found = against_base(same=shifted(0.01, -0.01, 0.02, -0.015))["same"]
    assert found.verdict == "open"
    assert found.p_holm > 0.05


def test_the_verdict_follows_holm_and_not_the_single_comparison():
    borderline = shifted(0.01, 0.02, 0.03, 0.008)
    alone = against_base(a=borderline)["a"]
    among = against_base(a=borderline, b=shifted(0.01, -0.01, 0.02, -0.01), c=shifted(0, 0.01, -0.01, 0.002))["a"]
    assert alone.verdict == "better"
    assert among.verdict == "open"
    assert alone.p_value == among.p_value == pytest.approx(among.p_holm / 3)


def test_identical_runs_are_open_with_p_one():
    found = against_base(same=dict(BASE))["same"]
    assert (found.difference.mean, found.difference.sd, found.p_value) == (0.0, 0.0, 1.0)
    assert found.verdict == "open"


def test_equal_differences_are_open_without_a_p_value():
    found = against_base(constant=shifted(0.02, 0.02, 0.02, 0.02))["constant"]
    assert found.difference.sd == 0.0
    assert (found.p_value, found.p_holm, found.verdict) == (None, None, "open")


def test_float32_rounding_is_not_a_spread():
    base = {seed: float(np.float32(value)) for seed, value in enumerate([0.8222222, 0.7888889, 0.8111111])}
    arm = {seed: float(np.float32(value + 1 / 90)) for seed, value in base.items()}
    assert compare_pairs({"arm": (arm, base)}, "max")["arm"].p_value is None


def test_only_seeds_that_both_have_are_compared():
    found = against_base(some={1: 0.9, 3: 0.85, 7: 0.1})["some"]
    assert found.seeds == (1, 3)
    assert found.difference.mean == pytest.approx((0.08 + 0.06) / 2)


@pytest.mark.parametrize("values", [{}, {2: 0.9}, {8: 0.9, 9: 0.8}])
def test_fewer_than_two_common_seeds_are_not_compared(values):
    found = against_base(few=values)["few"]
    assert (found.verdict, found.p_value, found.p_holm, found.difference.interval) == ("not compared", None, None, None)


def test_arms_that_cannot_be_tested_do_not_count_in_holm():
    one = against_base(a=shifted(0.01, 0.02, 0.03, 0.008))["a"]
    both = against_base(a=shifted(0.01, 0.02, 0.03, 0.008), b={0: 0.9})["a"]
    assert one.p_holm == both.p_holm


def test_a_side_without_values_compares_with_nothing():
    found = compare_pairs({"a": ({0: 0.8, 1: 0.9}, {})}, "max")
    assert found["a"].verdict == "not compared"


def test_a_percentage_and_a_fraction_give_the_same_verdict_and_p():
    arm = shifted(0.01, 0.02, 0.03, 0.008)
    fraction = against_base(a=arm)["a"]
    in_percent = [{seed: 100 * value for seed, value in side.items()} for side in (arm, BASE)]
    percent = compare_pairs({"a": tuple(in_percent)}, "max")["a"]
    assert math.isclose(fraction.p_value, percent.p_value, rel_tol=1e-9)


def test_equal_differences_have_no_interval_either():
    assert against_base(arm=shifted(0.02, 0.02, 0.02, 0.02))["arm"].difference.interval is None


def test_the_improvement_counts_in_the_direction_of_the_metric():
    arm = shifted(0.02, 0.01, -0.01, 0.0)
    up, down = (against_base(direction, arm=arm)["arm"].improvement for direction in ("max", "min"))
    assert (up.wins, up.ties, up.n, up.share) == (2, 1, 4, 0.625)
    assert (down.wins, down.ties, down.share) == (1, 1, 0.375)


def test_pairs_are_corrected_together_whatever_each_is_compared_with():
    pairs = {name: (shifted(0.02, 0.021, 0.0195, 0.0205), BASE) for name in ("one", "two", "three")}
    found = compare_pairs(pairs, "max")
    assert all(one.p_holm == pytest.approx(3 * one.p_value) for one in found.values())
    assert {one.verdict for one in found.values()} == {"better"}


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_verdicts_under_the_null_are_false_in_at_most_5_percent_of_experiments(seeds):
    repeats, rng = 1000, np.random.default_rng(0)
    shared = rng.normal(0.8, 0.01, size=(repeats, 1, seeds))
    values = shared + rng.normal(0, 0.005, size=(repeats, 4, seeds))
    false = 0
    for ablation in values:
        baseline, *arms = (dict(enumerate(map(float, arm))) for arm in ablation)
        found = compare_pairs({str(number): (arm, baseline) for number, arm in enumerate(arms)}, "max")
        false += any(one.verdict != "open" for one in found.values())
    assert false / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)

"""Stopping early: arms that are clearly behind are dropped, and the others hardly ever are."""

import math

import numpy as np
import pytest

from vitcli.ablation.planning.section import read_spec
from vitcli.ablation.planning.spec import StopEarly
from vitcli.config.errors import ConfigError
from vitcli.statistics.against_baseline import Pairing, compare_with_baseline
from vitcli.statistics.sequential import arms_to_stop


def by_seed(values) -> dict[int, float]:
    return dict(enumerate(map(float, values)))


def arms(**values) -> dict[str, dict[int, float]]:
    return {arm: by_seed(ones) for arm, ones in values.items()}


BASE = [0.80, 0.81, 0.79, 0.80, 0.82]


def test_an_arm_far_behind_is_dropped_with_the_numbers_of_the_reports_test():
    values = arms(base=BASE[:3], bad=[0.600, 0.611, 0.592], good=[0.80, 0.82, 0.78])
    found = arms_to_stop(values, "base", "max", 3, 0.05, 5)
    assert list(found) == ["bad"]
    others = {"bad": values["bad"], "good": values["good"]}
    p_value = compare_with_baseline(values["base"], others, "max").differences["bad"].p_adjusted
    assert found["bad"] == (
        f"stopped after 3 of 5 seeds: -0.199 against base in the mean over 3 seeds, p = {p_value:.2g} corrected for "
        "2 comparisons, at most 0.025 needed (level 0.05 over 2 looks)."
    )


def test_a_smaller_value_is_better_where_the_direction_says_so():
    values = arms(base=BASE[:3], low=[0.600, 0.611, 0.592], high=[1.001, 1.009, 0.992])
    assert list(arms_to_stop(values, "base", "min", 3, 0.05, 5)) == ["high"]
    assert list(arms_to_stop(values, "base", "max", 3, 0.05, 5)) == ["low"]


def test_the_baseline_is_never_dropped():
    assert arms_to_stop(arms(base=[0.1, 0.11, 0.12], best=[0.9, 0.92, 0.91]), "base", "max", 3, 0.05, 5) == {}


@pytest.mark.parametrize("n", [1, 2])
def test_there_is_no_look_before_its_seeds_are_there(n):
    assert arms_to_stop(arms(base=BASE[:n], bad=[0.1, 0.11][:n]), "base", "max", 3, 0.05, 5) == {}


def test_there_is_no_look_after_the_last_seed_which_leaves_nothing_to_save():
    behind = [0.9, 0.7, 0.75, 0.70, 0.70]
    assert arms_to_stop(arms(base=BASE, noisy=behind), "base", "max", 4, 0.9, 5) == arms_to_stop(
        arms(base=BASE[:4], noisy=behind[:4]), "base", "max", 4, 0.9, 5
    )


def test_what_is_dropped_does_not_depend_on_which_trials_ended_first():
    rng = np.random.default_rng(3)
    shared = rng.normal(size=8)
    whole = {f"arm{i}": by_seed(shared + rng.normal(-0.7 * i, 0.4, 8)) for i in range(5)}
    final = arms_to_stop(whole, "arm0", "max", 3, 0.2, 8)
    assert 1 < len(final) < 5
    for _ in range(50):
        seen = {arm: {s: v for s, v in one.items() if rng.random() < 0.8} for arm, one in whole.items()}
        assert set(arms_to_stop(seen, "arm0", "max", 3, 0.2, 8)) <= set(final)


def test_a_dropped_arm_that_has_more_seeds_stays_dropped():
    values = arms(base=BASE, bad=[0.600, 0.611, 0.592, 0.99, 0.99])
    assert list(arms_to_stop(values, "base", "max", 3, 0.05, 6)) == ["bad"]


def test_a_failed_trial_is_left_out_and_a_missing_one_is_waited_for():
    bad = {0: 0.600, 1: math.nan, 2: 0.592, 3: 0.601}
    base = by_seed(BASE[:4])
    found = arms_to_stop({"base": base, "bad": bad}, "base", "max", 3, 0.05, 6)["bad"]
    assert "after 4 of 6 seeds: -0.2023 against base in the mean over 3 seeds" in found
    del bad[1]
    assert arms_to_stop({"base": base, "bad": bad}, "base", "max", 3, 0.05, 6) == {}


def test_a_look_waits_for_every_arm_in_the_race_because_all_are_corrected_together():
    bad, late = by_seed([0.600, 0.611, 0.592]), by_seed([0.80, 0.82])
    assert arms_to_stop({"base": by_seed(BASE), "bad": bad, "late": late}, "base", "max", 3, 0.05, 6) == {}
    late[2] = math.nan
    assert list(arms_to_stop({"base": by_seed(BASE), "bad": bad, "late": late}, "base", "max", 3, 0.05, 6)) == ["bad"]


def test_equal_differences_have_no_spread_to_test_against():
    assert arms_to_stop(arms(base=BASE[:3], bad=[v - 0.5 for v in BASE[:3]]), "base", "max", 3, 0.05, 5) == {}


@pytest.mark.slow
def test_the_chance_of_dropping_any_arm_that_equals_the_baseline_is_at_most_the_level():
    rng, runs, level = np.random.default_rng(0), 1000, 0.2
    wrong = 0
    for _ in range(runs):
        shared = rng.normal(size=6)
        values = {f"arm{i}": by_seed(shared + rng.normal(size=6)) for i in range(4)}
        # One arm is truly behind: dropping it is right and leaves fewer in the race.
        values["behind"] = by_seed(shared + rng.normal(-4, 1, size=6))
        wrong += bool(set(arms_to_stop(values, "arm0", "max", 3, level, 6)) - {"behind"})
    assert wrong / runs <= level + 3 * math.sqrt(level * (1 - level) / runs)
    assert wrong > 0


def first_looks(pairing: Pairing, behind: float) -> int:
    """Return at how many first looks of 200 an arm is stopped whose noise is mostly the baseline's."""
    rng, seen = np.random.default_rng(1), 0
    for _ in range(200):
        shared = rng.normal(size=3)
        base, bad = (by_seed(shared - mean + rng.normal(0, 0.1, 3)) for mean in (0, behind))
        seen += bool(arms_to_stop({"base": base, "bad": bad}, "base", "max", 3, 0.05, 5, pairing))
    return seen


def test_a_difference_of_many_standard_deviations_is_seen_at_the_first_look_more_often_than_not():
    assert first_looks("estimated", 10) > 150


def test_declared_pairs_see_a_smaller_difference():
    assert first_looks("seeds", 2) > 150 > first_looks("none", 2)


SECTION = {"baseline": "a", "arms": {"a": {}, "b": {}}, "seeds": 6}


def of(**section) -> StopEarly | None:
    return read_spec([("a.yaml", SECTION | section)], "a.yaml")[0].stop_early


def test_the_section_says_after_how_many_seeds_and_at_which_level():
    assert of() is None
    assert of(stop_early={"after": 3}) == StopEarly(3, 0.05)
    assert of(stop_early={"after": 5, "level": 0.1}) == StopEarly(5, 0.1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "ablation.stop_early is 3; expected keys and values, such as ablation.stop_early.after."),
        ({"after": 2}, "ablation.stop_early.after is 2; expected a whole number of at least 3."),
        (
            {"after": 6},
            "ablation.stop_early.after is 6 of 6 seeds, so no seed could be saved; lower it or raise ablation.seeds.",
        ),
        ({"after": 3, "level": 1}, "ablation.stop_early.level is 1.0; expected a number between 0 and 1."),
        ({"after": 3, "levle": 0.1}, "ablation.stop_early.levle has no entry 'levle' in ablation.stop_early; did you"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(value, message):
    with pytest.raises(ConfigError) as caught:
        of(stop_early=value)
    assert message in str(caught.value)

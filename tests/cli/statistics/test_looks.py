import math

import numpy as np
import pytest

from vitcli.statistics.against_baseline import compare_with_baseline
from vitcli.statistics.looks import Look, compare_at_looks, declared_looks, look_levels, total_error

LOOKS = (Look(10, 5), Look(20, 10), Look(40, 20))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def by_seed(values) -> dict[int, float]:
    return dict(enumerate(map(float, values)))


def test_each_look_gets_the_share_of_its_new_seeds():
    assert look_levels([5, 10, 20]) == pytest.approx((0.0125, 0.0125, 0.025))
    assert look_levels([7]) == (0.05,)
    assert sum(look_levels([3, 5, 11, 12], 0.1)) == pytest.approx(0.1)


@pytest.mark.parametrize("seeds", [[], [1, 5], [5, 5], [10, 5]])
def test_looks_that_do_not_increase_are_refused(seeds):
    with pytest.raises(ValueError, match="increasing numbers of seeds from 2 upward, got"):
        look_levels(seeds)


def test_the_errors_of_looks_add_up_to_at_most_1():
    assert total_error([0.05, 0.05, 0.05]) == pytest.approx(0.15)
    assert total_error([0.9, 0.9]) == 1.0


def test_a_look_compares_at_its_own_level_with_its_own_seeds(rng):
    baseline, arm = by_seed(rng.normal(size=40)), by_seed(rng.normal(size=20))
    looked = compare_at_looks(baseline, {"a": arm}, LOOKS, "max")
    assert [found.level for found in looked.comparisons] == pytest.approx([0.0125, 0.0125, 0.025])
    first = {seed: arm[seed] for seed in range(5)}, {seed: baseline[seed] for seed in range(10)}
    assert looked.comparisons[0] == compare_with_baseline(first[1], {"a": first[0]}, "max", level=0.0125)


def test_a_decided_arm_needs_no_further_seeds_and_keeps_its_verdict(rng):
    baseline = by_seed(rng.normal(size=40))
    clear, unclear = by_seed(rng.normal(50, 1, 5)), by_seed(rng.normal(size=20))
    looked = compare_at_looks(baseline, {"clear": clear, "unclear": unclear}, LOOKS, "max")
    assert looked.decided == {"clear": 0}
    assert looked.open == ("unclear",)
    assert looked.differences["clear"] == looked.comparisons[0].differences["clear"]
    assert looked.differences["unclear"] == looked.comparisons[2].differences["unclear"]
    later = {**clear, **dict.fromkeys(range(5, 20), -50.0)}
    again = compare_at_looks(baseline, {"clear": later, "unclear": unclear}, LOOKS, "max")
    assert again.differences == looked.differences


def test_an_equivalent_arm_is_decided(rng):
    baseline, arm = by_seed(rng.normal(0, 0.01, 40)), by_seed(rng.normal(0, 0.01, 5))
    looked = compare_at_looks(baseline, {"a": arm}, LOOKS, "max", margin=1.0)
    assert (looked.decided, looked.open, len(looked.comparisons)) == ({"a": 0}, (), 1)


def test_a_look_waits_for_its_seeds_and_goes_on_without_failed_ones(rng):
    baseline, arm = by_seed(rng.normal(size=40)), by_seed(rng.normal(size=9))
    assert len(compare_at_looks(baseline, {"a": arm}, LOOKS, "max").comparisons) == 1
    assert compare_at_looks({}, {"a": arm}, LOOKS, "max").differences == {}
    failed = {**arm, 9: math.nan}
    looked = compare_at_looks(baseline, {"a": failed}, LOOKS, "max")
    assert len(looked.comparisons) == 2
    assert looked.differences["a"].arm_seeds == tuple(range(9))


def test_at_each_declared_look_the_baseline_has_its_part_of_its_seeds():
    assert declared_looks((5, 10, 20), 40) == (Look(10, 5), Look(20, 10), Look(40, 20))
    assert declared_looks((3, 5), 8) == (Look(5, 3), Look(8, 5))

"""What each factor does, over the records of whole ablations."""

import numpy as np
import pytest

from tests.cli.ablation_directory import edit_result, make_arms, make_grid
from vitcli.records.ablation import Ablation, load
from vitcli.statistics.effects import Effect, effects


def effects_of(ablation: Ablation) -> list[Effect]:
    return effects({arm.name: arm.values("test/acc1") for arm in ablation.arms}, ablation.levels)


def test_two_factors_have_one_line_for_each_level_of_the_other(tmp_path):
    ablation = load(make_grid(tmp_path, {"activation": ["relu", "gelu"], "attention": ["none", "eca", "se"]}))
    activation, attention = effects_of(ablation)
    assert [line.name for line in activation.lines] == ["none", "eca", "se"]
    assert [line.name for line in attention.lines] == ["relu", "gelu"]
    values = list(ablation.arm("gelu-eca").values("test/acc1").values())
    assert activation.lines[1].levels["gelu"].mean == pytest.approx(np.mean(values), rel=1e-15)


def test_many_factors_have_their_marginal_means_over_seeds_that_all_arms_have(tmp_path):
    make_grid(tmp_path, {"a": ["0", "1"], "b": ["0", "1", "2"], "c": ["0", "1", "2"]}, seeds=4)
    edit_result(tmp_path, "0-0-0", 3, status="failed", cause="", metrics={})
    ablation = load(tmp_path)
    (line,) = effects_of(ablation)[0].lines
    ones = [arm.values("test/acc1") for arm in ablation.arms if ablation.levels[arm.name]["a"] == "1"]
    by_seed = [np.mean([values[seed] for values in ones]) for seed in range(3)]
    assert len(ones) == 9
    assert line.levels["1"].n == 3
    assert line.levels["1"].mean == pytest.approx(np.mean(by_seed), rel=1e-15)
    assert line.levels["1"].sd == pytest.approx(np.std(by_seed, ddof=1), rel=1e-12)
    assert effects_of(ablation)[0].held == "average over 9 combinations of the others"


def test_one_factor_at_a_time_has_the_line_through_the_default_alone(tmp_path):
    levels = {"d": {"a": "0", "b": "0"}, "a1": {"a": "1", "b": "0"}, "b1": {"a": "0", "b": "1"}}
    ablation = load(make_arms(tmp_path, list(levels), 2, levels=levels))
    for effect, other in zip(effects_of(ablation), ("a1", "b1"), strict=True):
        (line,) = effect.lines
        assert list(line.levels) == ["0", "1"]
        expected = list(ablation.arm(other).values("test/acc1").values())
        assert line.levels["1"].mean == pytest.approx(np.mean(expected), rel=1e-15)


def test_an_arm_beside_the_factors_is_in_no_effect(tmp_path):
    levels = {"x": {"a": "0"}, "y": {"a": "1"}}
    ablation = load(make_arms(tmp_path, ["x", "y", "beside"], 2, levels=levels))
    assert effects_of(ablation)[0].levels == ("0", "1")

"""Arms that would compare nothing are refused in a sentence that names the arm and what to do."""

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, LIGHTNING, PLAIN, write
from vitcli.ablation.planning.checks.idle_arms import refuse_equal
from vitcli.ablation.planning.draft import resolve_arms
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError

pytestmark = LIGHTNING

GELU = {ACTIVATION: "torch.nn.GELU"}


def refused(tmp_path, **section: object) -> str:
    path = write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION | section)
    with pytest.raises(ConfigError) as caught:
        resolve_arms(parse_arguments(["--config", path]))
    return str(caught.value).replace(path, "arms.yaml")


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"plain": {}, "twin": {}}, "arm twin: the arm computes the same as the baseline plain: their config"),
        ({"plain": {}, "twin": {"data.batch_size": 64}}, "arm twin: the arm computes the same as the baseline plain"),
        ({"plain": {}, "twin": {"model.optimizer.lr": 1e-3}}, "arm twin: the arm computes the same as the baseline"),
        ({"plain": {}, "one": GELU, "two": GELU}, "arm two: the arm computes the same as arm one: their config"),
        (
            {"plain": {}, "quiet": {"trainer.logger": False}},
            "equal except for trainer.logger, which changes no result; remove the arm or give it another value.",
        ),
        ({"one": {}, "plain": {}}, "arm one: the arm computes the same as the baseline plain"),
    ],
)
def test_two_arms_that_compute_the_same_are_refused(arms, message, tmp_path):
    assert message in refused(tmp_path, arms=arms)


def test_a_level_that_restates_the_default_is_refused(tmp_path):
    factors = {"act": {"first": {}, "second": {ACTIVATION: "torch.nn.Hardswish"}}}
    message = refused(tmp_path, factors=factors, arms={}, baseline="first")
    assert "arm second: the arm computes the same as the baseline first" in message


@pytest.mark.parametrize("changed", ["data.root", "trainer.devices"])
def test_arms_may_differ_in_their_data_or_in_the_number_of_devices(changed):
    key, name = changed.split(".")
    configs = {arm: {key: {name: value}} for arm, value in (("one", 1), ("two", 2))}
    refuse_equal(configs, "one", dict.fromkeys(configs, "here"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"seed_everything": 3},
            "arm x: the arm sets seed_everything, but every trial sets it to its own seed; set abl",
        ),
        ({"data.seed": 3}, "arm x: the arm sets data.seed, but every trial sets it to its own seed"),
        ({"data": {"init_args": {"seed": 3}}}, "arm x: the arm sets data.init_args.seed, but every trial"),
        ({"runs": "there"}, "arm x: the arm sets runs, but the trials of all arms lie in one directory"),
    ],
)
def test_a_value_that_each_trial_sets_by_itself_is_refused_in_an_arm(change, message, tmp_path):
    assert message in refused(tmp_path, arms={"plain": {}, "x": change})


TWICE = {"model.optimizer.lr": 0.1, "model": {"init_args": {"optimizer": {"init_args": {"lr": 0.2}}}}}


def test_a_key_in_two_spellings_is_refused(tmp_path):
    message = (
        "model.optimizer.lr is set twice, as model.optimizer.lr and as model.init_args.optimizer.init_args.lr; keep"
    )
    assert f"arms.yaml: ablation.arms.x: {message}" in refused(tmp_path, arms={"plain": {}, "x": TWICE})
    factors = {"lr": {"low": {}, "high": TWICE}}
    assert f"ablation.factors.lr.high: {message}" in refused(tmp_path, factors=factors, arms={}, baseline="low")


def test_a_later_place_may_spell_a_key_in_another_way(tmp_path):
    section = {"baseline": "plain", "arms": {"plain": {}, "x": {"model": {"init_args": {"optimizer": {"lr": 0.2}}}}}}
    path = write(tmp_path / "arms.yaml", PLAIN, ablation=section)
    draft = resolve_arms(parse_arguments(["--config", path, "--ablation.arms.x.model.optimizer.lr", "0.3"]))
    assert draft.configs["x"]["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 0.3


def test_an_arm_may_set_a_list_and_append_to_it(tmp_path):
    callbacks = {"trainer.callbacks": [], "trainer.callbacks+": "lightning.pytorch.callbacks.LearningRateMonitor"}
    path = write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION | {"arms": {"plain": {}, "x": callbacks}})
    assert len(resolve_arms(parse_arguments(["--config", path])).configs["x"]["trainer"]["callbacks"]) == 1


def test_two_factors_that_change_one_key_in_two_spellings_are_refused(tmp_path):
    factors = {
        "lr": {"low": {}, "high": {"model.optimizer.lr": 0.1}},
        "rate": {"small": {}, "large": {"model.init_args.optimizer.lr": 0.2}},
    }
    message = refused(tmp_path, factors=factors, arms={}, baseline="low-small")
    assert "ablation.factors.rate.large changes model.init_args.optimizer.lr, which factor lr changes too." in message

"""Budgets: arms that train as many epochs, as long, or as many multiply-adds as the baseline."""

import json
from pathlib import Path

import pytest

from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, TRAINER, write
from vitcli.ablation.planning.budget import equal_epochs, trained_epochs
from vitcli.ablation.planning.make_plan import make_plan, timed_ids
from vitcli.ablation.planning.plan import Plan
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.main import main
from vitcli.records.json_files import write_json

pytestmark = LIGHTNING

WIDE = {"model.backbone.width": 32}
ARMS = {"plain": {}, "wide": WIDE, "shallow": {"model.backbone.depth": 2}}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return a function that writes a file with a budget, three arms and 20 epochs."""
    monkeypatch.chdir(tmp_path)

    def made(equal: str, arms: dict | None = None, **trainer: object) -> str:
        section = {**ABLATION, "arms": ARMS if arms is None else arms, "budget": equal}
        return write(Path("arms.yaml"), PLAIN, ablation=section, trainer={**TRAINER, "max_epochs": 20, **trainer})

    return made


def plan_of(path: str, seconds: dict[str, float] | None = None) -> Plan:
    return make_plan(parse_arguments(["--config", path]), seconds)


def measured(seconds: dict[str, float], plan: Plan) -> None:
    arms = {arm: {"id": plan.arms[arm].id, "train_images_per_second": 1 / each} for arm, each in seconds.items()}
    plan.directory.mkdir(parents=True)
    write_json(plan.directory / "speed.json", {"format": 1, "arms": arms})


def test_an_arm_of_twice_the_cost_trains_half_as_many_epochs_and_none_less_than_one():
    cost = {"base": 2.0, "twice": 4.0, "half": 1.0, "huge": 1000.0, "near": 2.1}
    assert equal_epochs(20, "base", cost) == {"base": 20, "twice": 10, "half": 40, "huge": 1, "near": 19}


def test_equal_epochs_leave_every_arm_as_it_is(file):
    plan = plan_of(file("epochs"))
    assert plan.budget == {"equal": "epochs", "epochs": {"plain": 20, "wide": 20, "shallow": 20}}
    assert set(plan.arms["wide"].difference) == {"model.backbone.width"}


def test_equal_multiply_adds_set_the_epochs_that_spend_what_the_baseline_spends(file):
    plan = plan_of(file("macs"))
    spent = {name: arm.macs * trained_epochs(arm.config) for name, arm in plan.arms.items()}
    assert trained_epochs(plan.arms["plain"].config) == 20
    for name, arm in plan.arms.items():
        assert abs(spent[name] - spent["plain"]) <= arm.macs / 2
    assert plan.budget["epochs"] == {name: trained_epochs(arm.config) for name, arm in plan.arms.items()}
    assert plan.budget["epochs"]["wide"] < 20 < plan.budget["epochs"]["shallow"]


def test_the_epochs_of_a_budget_are_a_declared_difference_and_part_of_the_arm_s_identity(file):
    equal, macs = plan_of(file("epochs")), plan_of(file("macs"))
    assert set(macs.arms["wide"].difference) == {"model.backbone.width", "trainer.max_epochs"}
    assert macs.arms["wide"].id != equal.arms["wide"].id
    assert macs.arms["plain"].id == equal.arms["plain"].id


def test_a_trial_trains_the_epochs_of_the_budget(file):
    plan = plan_of(file("macs"))
    assert plan.trial_config("wide", 1)["trainer"]["max_epochs"] == plan.budget["epochs"]["wide"]


def test_equal_training_time_follows_the_seconds_that_were_measured_and_kept(file):
    seconds = {"plain": 0.01, "wide": 0.04, "shallow": 0.005}
    path = file("training_time")
    plan = plan_of(path, seconds)
    assert plan.budget == {"equal": "training_time", "epochs": {"plain": 20, "wide": 5, "shallow": 40}}
    measured(seconds, plan)
    again = plan_of(path)
    assert again.budget == plan.budget
    assert {name: arm.id for name, arm in again.arms.items()} == {name: arm.id for name, arm in plan.arms.items()}


def test_what_is_measured_under_equal_epochs_tells_the_arms_of_equal_training_time(file):
    seconds = {"plain": 0.01, "wide": 0.04, "shallow": 0.005}
    equal = plan_of(file("epochs"))
    configs = {arm: equal.trial_config(arm, 0) for arm in equal.arms}
    timed = plan_of(file("training_time"), seconds)
    assert timed_ids(configs, "plain", seconds, "here") == {name: arm.id for name, arm in timed.arms.items()}


def test_training_time_that_was_not_measured_is_asked_for(file):
    path = file("training_time")
    with pytest.raises(ConfigError, match=r"runs/arms/speed\.json is missing; run vitcli speed arms\.yaml first\.$"):
        plan_of(path)
    seconds = {"plain": 0.01, "wide": 0.04}
    plan = plan_of(path, {**seconds, "shallow": 0.01})
    measured(seconds, plan)
    with pytest.raises(ConfigError, match=r"arm shallow is not in runs/arms/speed\.json; run vitcli speed"):
        plan_of(path)


def test_the_speed_of_another_configuration_is_refused(file):
    seconds = {"plain": 0.01, "wide": 0.04, "shallow": 0.01}
    measured(seconds, plan_of(file("training_time"), seconds))
    path = file("training_time", {**ARMS, "wide": {"model.backbone.width": 24}})
    with pytest.raises(ConfigError, match=r"arm wide has changed since its speed was measured"):
        plan_of(path)


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"max_epochs": None, "max_steps": 100}, "trainer.max_steps is 100; set trainer.max_epochs"),
        ({"max_steps": 100}, "trainer.max_epochs is 20 and trainer.max_steps is 100; set trainer.max_epochs"),
        ({"max_epochs": None}, "trainer.max_epochs is not set; set trainer.max_epochs"),
    ],
)
def test_a_budget_needs_a_training_that_is_counted_in_epochs(trainer, message, file):
    with pytest.raises(ConfigError) as caught:
        plan_of(file("macs", **trainer))
    assert f"arms.yaml: ablation.budget is 'macs', but {message}" in str(caught.value)


def test_an_arm_cannot_set_the_epochs_that_the_budget_sets(file):
    path = file("macs", {"plain": {}, "long": {"trainer.max_epochs": 40}})
    with pytest.raises(
        ConfigError, match="arm long sets it to 40; remove it from the arm, or choose the budget epochs"
    ):
        plan_of(path)
    assert plan_of(file("epochs", {"plain": {}, "long": {"trainer.max_epochs": 40}})).budget["epochs"]["long"] == 40


def test_the_plan_states_the_budget_and_each_arm_s_epochs(file, capsys):
    path = file("macs")
    assert main(["plan", path, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["budget"] == plan_of(path).budget
    assert main(["plan", path]) == 0
    assert "Budget: equal multiply-adds" in capsys.readouterr().out

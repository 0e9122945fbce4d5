"""A report with trainings that ended early shows each arm's epochs and calls the budgets unequal."""

import pytest

from tests.cli.ablation_directory import edit_plan, edit_result, make_arms
from vitcli.records.ablation import load
from vitcli.report.methods import facts
from vitcli.report.summary import summarise


@pytest.fixture
def directory(tmp_path):
    make_arms(tmp_path, ["base", "other"], seeds=3)
    edit_plan(tmp_path, budget={"equal": "epochs", "epochs": {"base": 14, "other": 14}})
    return tmp_path


def test_the_epochs_of_each_arm_are_stated_before_the_numbers(directory):
    edit_result(directory, "other", 0, epochs=3, ended_early=True)
    edit_result(directory, "other", 2, epochs=5, ended_early=True)
    ablation = load(directory)
    warning = (
        "The budgets are unequal, because trainings ended early, as the configuration asks (EarlyStopping, max_time or "
        "another callback). Epochs trained: base 14 of 14 and other 3 to 14 of 14."
    )
    assert summarise(ablation).warnings[-1] == warning
    assert facts(ablation)["budget"] == warning


def test_trainings_that_all_ran_to_their_end_have_equal_budgets(directory):
    ablation = load(directory)
    assert summarise(ablation).warnings == ()
    assert facts(ablation)["budget"] == "equal epochs in all arms (14 epochs for every arm)"

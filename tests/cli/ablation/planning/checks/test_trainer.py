"""Settings of the trainer that would make a trial count as done although nothing was trained or tested."""

import pytest

from vitcli.ablation.planning.checks.trainer import refuse_debug_run
from vitcli.config.errors import ConfigError

SETTINGS = {
    "fast_dev_run": False,
    "overfit_batches": 0.0,
    "barebones": False,
    "max_epochs": 3,
    "max_steps": -1,
    "limit_train_batches": None,
    "limit_val_batches": 0,
    "limit_test_batches": 0.5,
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fast_dev_run", True, "trainer.fast_dev_run is True, which is for debugging"),
        ("fast_dev_run", 3, "trainer.fast_dev_run is 3, which is for debugging"),
        ("overfit_batches", 2, "trainer.overfit_batches is 2, which is for debugging"),
        ("barebones", True, "trainer.barebones is True, which is for debugging"),
        ("max_epochs", 0, "trainer.max_epochs is 0, so that nothing would be trained; expected at least 1."),
        ("max_steps", 0, "trainer.max_steps is 0, so that nothing would be trained"),
        ("limit_train_batches", 0.0, "trainer.limit_train_batches is 0, so that nothing would be trained"),
        ("limit_test_batches", 0, "trainer.limit_test_batches is 0, so that nothing would be tested"),
    ],
)
def test_a_debug_run_is_refused_in_an_ablation(name, value, message):
    with pytest.raises(ConfigError) as caught:
        refuse_debug_run(SETTINGS | {name: value}, "arms.yaml, arm x")
    assert str(caught.value).startswith(f"arms.yaml, arm x: {message}")


def test_a_training_without_validation_or_on_a_part_of_the_data_is_one():
    refuse_debug_run(SETTINGS, "here")
    refuse_debug_run(SETTINGS | {"max_epochs": None, "max_steps": 100, "limit_train_batches": 2}, "here")

"""Any LightningModule with any LightningDataModule is planned, costed, run and compared; nothing here knows classes or shapes."""

import json

import pytest

from tests.cli.tiny_ablation import LIGHTNING, TRAINER, results, write
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.main import main

pytestmark = [
    *LIGHTNING,
    # A task without a validation step beside a data module that has the images for one.
    pytest.mark.filterwarnings("ignore:.*`val_dataloader`.*"),
]

HERE = "tests.cli.own_task"
MACS = 12 * 12 * (9 * 4 + 4 * 2)
ARMS = {"relu": {}, "gelu": {"model.activation": "torch.nn.GELU"}, "wide": {"model.width": 8}}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def made(model: str = "Segmentation", data: str = "Blobs", **ablation: object):
        section = {"baseline": "relu", "seeds": 1, "arms": {"relu": {}}, "metric": "test/pixels", **ablation}
        content = {"model": f"{HERE}.{model}", "data": f"{HERE}.{data}", "trainer": TRAINER, "ablation": section}
        return make_plan(parse_arguments(["--config", write(tmp_path / "own.yaml", content)]))

    return made


def test_the_first_training_image_is_what_a_model_is_tried_with(plan):
    found = plan(arms=ARMS).arms
    assert {name: arm.macs for name, arm in found.items()} == {"relu": MACS, "gelu": MACS, "wide": 2 * MACS}
    assert found["relu"].parameters == 9 * 4 + 4 + 4 * 2 + 2
    assert set(found["wide"].difference) == {"model.width"}


def test_a_model_s_own_example_comes_first_and_counts_for_one_image(plan):
    assert plan("WithExample").arms["relu"].macs == 20 * 20 * (9 * 4 + 4 * 2)


@pytest.mark.parametrize("model", ["NeedsValues", "NeedsPlaces"])
def test_a_model_that_looks_at_values_is_run_on_the_cpu(plan, model):
    assert plan(model).arms["relu"].macs == MACS


def test_without_anything_to_try_a_model_with_the_plan_says_what_to_give(plan):
    with pytest.raises(ConfigError) as caught:
        plan(data="Mapping")
    assert str(caught.value).endswith(
        "own.yaml, arm relu: there is no image to try the model with: Mapping has no image_shape, Segmentation no "
        "example_input_array, and no training batch can be had (a batch is dict and does not begin with images); "
        "give one of them."
    )


def test_a_task_without_a_test_is_refused_before_it_trains(plan):
    with pytest.raises(ConfigError, match=r"model is 'tests.cli.own_task.Unscored', which has no test_step; a trial"):
        plan("Unscored")


def test_a_metric_that_a_test_step_does_not_log_is_refused_with_the_one_that_it_does(plan):
    with pytest.raises(ConfigError) as caught:
        plan(metric="test/pixel")
    assert "ablation.metric.name is 'test/pixel', which a test of tests.cli.own_task.Segmentation does not log" in (
        str(caught.value)
    )
    assert str(caught.value).endswith("; did you mean test/pixels?")


def test_an_ablation_of_it_runs_and_is_compared(tmp_path, plan, capsys):
    plan(arms=ARMS)
    assert main(["fit", "--config", str(tmp_path / "own.yaml"), "--ablation.exclude", "gelu"]) == 0
    found = results(tmp_path / "runs" / "own")
    assert sorted(found) == ["relu/seed0", "wide/seed0"]
    assert all(0 < one["metrics"]["test/pixels"] < 1 for one in found.values())
    capsys.readouterr()
    assert main(["plan", str(tmp_path / "own.yaml"), "--format", "json"]) == 0
    assert [arm["done"] for arm in json.loads(capsys.readouterr().out)["arms"]] == [[0], [], [0]]

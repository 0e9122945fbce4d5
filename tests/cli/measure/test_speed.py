"""The speed of arms, measured side by side."""

import json
import os

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, LIGHTNING, MODEL, PLAIN, TRAINER, write
from vitcli.ablation.arms_speed import measure_arms
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_arguments
from vitcli.main import main
from vitcli.measure.speed import measure
from vittasks import Classification

pytestmark = LIGHTNING

WIDER = {"model.backbone.width": 32}
NUMBERS = ("step_seconds", "train_images_per_second", "inference_images_per_second", "latency_ms", "peak_memory_bytes")


def test_speed_is_measured_written_and_printed_for_every_arm(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=ABLATION)
    assert main(["speed", path]) == 0
    out = capsys.readouterr().out
    found = json.loads((tmp_path / "runs" / "tiny" / "speed.json").read_text())
    assert list(found["arms"]) == ["plain", "gelu"]
    assert (found["threads"], found["batch_size"], found["precision"]) == (1, 64, "32-true")
    for arm, numbers in found["arms"].items():
        assert arm in out
        assert all(numbers[name] > 0 for name in NUMBERS)
        assert numbers["train_images_per_second"] == pytest.approx(64 / numbers["step_seconds"], rel=1e-9)
    assert not list((tmp_path / "runs" / "tiny").glob("*/seed*")), "nothing was trained"


def test_a_wider_model_takes_more_memory_and_the_same_model_the_same(tmp_path):
    arms = {"plain": {}, "same": {"model.label_smoothing": 0.1}, "wider": WIDER}
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation={**ABLATION, "arms": arms})
    plan = make_plan(parse_arguments(["--config", path]))
    ids = {arm: plan.arms[arm].id for arm in arms}
    found, problems = measure({arm: plan.arms[arm].config for arm in arms}, ids, rounds=1)
    assert problems == {}
    memory = {arm: numbers["peak_memory_bytes"] for arm, numbers in found["arms"].items()}
    assert memory["plain"] == pytest.approx(memory["same"], rel=0.02)
    assert memory["wider"] > 1.3 * memory["plain"]
    assert {arm: numbers["id"] for arm, numbers in found["arms"].items()} == {arm: plan.arms[arm].id for arm in arms}


def test_an_arm_that_cannot_be_measured_costs_the_others_nothing(tmp_path):
    arms = {"plain": {}, "bad": {"model.optimizer.lr": -1}}
    plan = make_plan(
        parse_arguments(["--config", write(tmp_path / "tiny.yaml", PLAIN, ablation={**ABLATION, "arms": arms})])
    )
    found, problems = measure({arm: plan.arms[arm].config for arm in arms}, dict.fromkeys(arms, "id"), rounds=2)
    assert list(found["arms"]) == ["plain"]
    assert problems == {"bad": "ValueError: model.optimizer: Invalid learning rate: -1.0"}


class Leaves(Classification):
    """Ends the process where it should make its optimizer."""

    def configure_optimizers(self):
        os._exit(3)


@pytest.mark.slow  # two processes that measure
def test_an_arm_that_ends_the_process_costs_the_others_nothing(tmp_path):
    arms = {"plain": {}, "[bad]": {"model": {**MODEL, "class_path": f"{__name__}.Leaves"}}}
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation={**ABLATION, "arms": arms}, runs=str(tmp_path))
    plan = make_plan(parse_arguments(["--config", path]))
    plan.directory.mkdir()
    assert measure_arms(plan) == (
        f"[bad] could not be measured (the process ended with exit code 3); see {plan.directory / 'speed.log'}"
    )
    assert list(json.loads((plan.directory / "speed.json").read_text())["arms"]) == ["plain"]


@pytest.mark.parametrize(
    ("words", "message"), [([], "speed needs a file"), (["--trainer.max_epochs", "3"], "speed needs a file")]
)
def test_without_an_ablation_there_is_nothing_to_measure(words, message, capsys):
    assert main(["speed", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_equal_training_time_follows_from_what_was_measured_and_stays_when_an_arm_is_added(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    arms = {"plain": {}, "wider": WIDER}
    ablation = {**ABLATION, "arms": arms, "budget": "training_time"}
    path = write(tmp_path / "tiny.yaml", PLAIN, trainer={**TRAINER, "max_epochs": 40}, ablation=ablation)
    assert main(["plan", path]) == 2
    assert f"run vitcli speed {path} first" in capsys.readouterr().err
    assert main(["speed", path]) == 0
    first = make_plan(parse_arguments(["--config", path]))
    speed = json.loads((tmp_path / "runs" / "tiny" / "speed.json").read_text())["arms"]
    ratio = speed["wider"]["train_images_per_second"] / speed["plain"]["train_images_per_second"]
    assert first.budget["epochs"] == {"plain": 40, "wider": round(40 * ratio)}

    ablation["arms"] = {**arms, "gelu": {ACTIVATION: "torch.nn.GELU"}}
    write(tmp_path / "tiny.yaml", PLAIN, trainer={**TRAINER, "max_epochs": 40}, ablation=ablation)
    assert main(["plan", path]) == 2
    assert "arm gelu is not in" in capsys.readouterr().err
    assert main(["speed", path]) == 0
    second = make_plan(parse_arguments(["--config", path]))
    assert [second.arms[arm].id for arm in first.arms] == [arm.id for arm in first.arms.values()]
    assert list(second.arms) == ["plain", "wider", "gelu"]

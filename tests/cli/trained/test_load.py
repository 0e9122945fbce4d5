"""A trained run in Python: its weights, its transform and its class names, without the data."""

import shutil

import pytest
import torch
import yaml
from PIL import Image

import vitcli
import vittasks
from tests.cli.tiny_ablation import LIGHTNING
from vitcli.config.errors import ConfigError

pytestmark = LIGHTNING


@pytest.fixture
def copied(folders_run, tmp_path):
    """A copy of the run on folders, to be damaged."""
    return shutil.copytree(folders_run, tmp_path / "run")


def test_a_run_gives_its_trained_model_in_evaluation_mode(digits_run):
    run = vitcli.load_run(digits_run)
    saved = torch.load(digits_run / "last.ckpt", weights_only=True)["state_dict"]
    own = run.model.state_dict()
    assert all(torch.equal(own[name.removeprefix("backbone.")], value) for name, value in saved.items())
    assert not any(module.training for module in run.model.modules())
    assert run.class_names == tuple("0123456789")
    assert run.transform(Image.new("RGB", (50, 20))).shape == run.image_shape == (1, 32, 32)


def test_the_task_package_loads_a_run_too(digits_run, monkeypatch):
    ours, theirs = vitcli.load_run(digits_run), vittasks.load_run(digits_run)
    assert all(torch.equal(theirs.model.state_dict()[name], value) for name, value in ours.model.state_dict().items())
    assert theirs.class_names == ours.class_names
    monkeypatch.setattr("vittasks.trained_runs.entry_points", lambda group: ())
    with pytest.raises(ModuleNotFoundError, match="load_run needs vitcli"):
        vittasks.load_run(digits_run)


def test_loading_leaves_random_numbers_and_threads_alone(digits_run):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    vitcli.load_run(digits_run)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_the_classes_of_folders_are_known_without_the_folders(folders_run):
    assert not (folders_run.parents[2] / "images").exists()
    run = vitcli.load_run(folders_run)
    assert run.class_names == ("blue", "green", "red")
    assert run.model(run.transform(Image.new("RGB", (50, 40)))[None]).shape == (1, 3)


def test_averaged_weights_come_first_and_those_of_the_last_step_can_be_had(folders_run):
    saved = torch.load(folders_run / "last.ckpt", weights_only=True)
    name = "backbone.head.weight"
    assert not torch.equal(saved["state_dict"][name], saved["current_model_state"][name])
    for weights, key in ((None, "state_dict"), ("ema", "state_dict"), ("last", "current_model_state")):
        assert torch.equal(vitcli.load_run(folders_run, weights).model.head.weight, saved[key][name])


def test_a_run_without_averages_has_none(digits_run):
    with pytest.raises(ConfigError, match="weights is ema, but the run averaged no weights"):
        vitcli.load_run(digits_run, "ema")


def test_a_value_can_be_changed(folders_run):
    assert vitcli.load_run(folders_run, overrides={"data.img_size": 48}).image_shape == (3, 48, 48)
    with pytest.raises(ConfigError, match=r"command line: data\.crop"):
        vitcli.load_run(folders_run, overrides={"data.crop_pc": 1.0})
    with pytest.raises(ConfigError, match=r"has no entry 'crop_pct'; did you mean data\.crop_pct\?"):
        vitcli.load_run(folders_run, overrides={"crop_pct": 1.0})


def test_the_trainer_of_another_machine_is_not_needed(copied):
    path = copied / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["trainer"] |= {"accelerator": "cuda", "devices": 8, "strategy": "ddp"}
    config["ckpt_path"] = "/nowhere/start.ckpt"
    path.write_text(yaml.safe_dump(config))
    assert vitcli.load_run(copied).class_names == ("blue", "green", "red")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "last.ckpt").write_bytes(b"PK\x03\x04 half"), "the checkpoint cannot be read"),
        (lambda run: torch.save({"state_dict": {}}, run / "last.ckpt"), "the run cannot be loaded"),
        (lambda run: torch.save([1, 2], run / "last.ckpt"), "the checkpoint cannot be read"),
        (lambda run: (run / "last.ckpt").unlink(), "the run has no complete epoch"),
        (lambda run: (run / "config.yaml").unlink(), "there is no config.yaml here"),
    ],
)
def test_a_directory_that_is_not_a_trained_run_is_named(damage, message, copied):
    damage(copied)
    with pytest.raises(ConfigError, match=message):
        vitcli.load_run(copied)


def test_another_directory_is_distinguished_from_a_run(digits_run):
    with pytest.raises(ConfigError, match=r"holds 1 runs; name one of them, for example .*fit0"):
        vitcli.load_run(digits_run.parent)
    with pytest.raises(ConfigError, match="this is a file; give the directory of a run"):
        vitcli.load_run(digits_run / "last.ckpt")
    with pytest.raises(ConfigError, match="there is no such directory"):
        vitcli.load_run(digits_run / "none")

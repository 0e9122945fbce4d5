"""What a user can mend ends a single run with exit code 2 and one sentence, also where it is found in the training."""

import json
import shutil
from pathlib import Path

import pytest
from lightning.pytorch import Callback
from torch import nn

from tests.cli.tiny_ablation import LIGHTNING, PLAIN, write
from tests.tasks.data.trees import cut_in_half, write_tree
from vitcli.main import main

pytestmark = LIGHTNING

MISSPELT = '{"class_path":"lightning.pytorch.callbacks.EarlyStopping","monitor":"val_loss"}'

IMAGES = {"class_path": "vittasks.ImageFolder", "root": "animals", "img_size": 32, "batch_size": 4, "workers": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with images, the configuration of a run on them, and a checkpoint of that run."""
    folder = tmp_path_factory.mktemp("run")
    write_tree(folder / "animals")
    model = PLAIN["model"]
    backbone = model["init_args"]["backbone"] | {"num_classes": 3, "in_chans": 3}
    model = {**model, "init_args": {"backbone": backbone}}
    write(folder / "plain.yaml", PLAIN, data=IMAGES, model=model, trainer=PLAIN["trainer"] | {"limit_train_batches": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["fit", "--config", "plain.yaml"]) == 0
    return folder


@pytest.fixture
def refused(folder, tmp_path, capsys, monkeypatch):
    """Return what ``vitcli`` says to a run that it must refuse; the run may use a changed copy of the folder."""
    shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")

    def run(*words: str, command: str = "fit") -> str:
        assert main([command, "--config", "plain.yaml", *words]) == 2
        message = capsys.readouterr().err
        (sentence,) = [line for line in message.splitlines() if line.startswith("vitcli: ")]
        assert "Traceback" not in message
        return sentence.removeprefix("vitcli: plain.yaml: ")

    return run


def test_what_is_to_be_known_of_the_data_is_recorded_with_the_result(folder):
    result = json.loads((folder / "runs" / "plain" / "fit0" / "result.json").read_text())
    assert result["provenance"]["data_notes"] == "the test set is the folder val"


class Damaging(Callback):
    """Cuts an image in half when the checks before the training are over."""

    def on_fit_start(self, *arguments: object) -> None:
        cut_in_half(Path("animals/val/cat/0.jpg"))


class Dividing(Callback):
    """Has a fault of its own."""

    def on_fit_start(self, *arguments: object) -> None:
        1 / 0  # noqa: B018


class Broken(nn.ReLU):
    """A module with a fault of its own, which is nothing that a user can mend in a configuration."""

    def forward(self, input):
        if not input.is_meta:
            raise ValueError("too many values to unpack")
        return input


def test_damage_is_found_before_anything_is_written(refused):
    cut_in_half(Path("animals/train/cat/1.jpg"))
    shutil.rmtree("runs")
    assert refused().startswith(
        "ImageFolder: cannot read animals/train/cat/1.jpg of class cat (image file is truncated"
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_damage_that_is_found_in_the_training_is_one_sentence_too(workers, refused):
    message = refused("--trainer.callbacks+", f"{__name__}.Damaging", "--data.workers", workers)
    assert message.startswith("ImageFolder: cannot read animals/val/cat/0.jpg of class cat (image file is truncated")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--data.batch_size 64", "data.batch_size must not exceed the 6 samples"),
        (
            "--data.batch_size 3 --model.mixing.mixup 0.8",
            "Mixing pairs the images of a batch and needs an even number, got 3: set an even data.batch_size.",
        ),
        (
            "--model.backbone.in_chans 1",
            "model.backbone.in_chans is 1, but the images of ImageFolder have 3 channels, (3, 32, 32): set "
            "model.backbone.in_chans=3, or data.channels=1.",
        ),
        ("--data.std [0.0,1.0,1.0]", "data.std is [0.0, 1.0, 1.0]; expected positive numbers"),
        ("--data.crop_pct 0", "ImageFolder: crop_pct must be positive and re_prob lie in [0, 1], got crop_pct=0.0"),
        ("--model.optimizer.lr -1", "model.optimizer: Invalid learning rate: -1.0."),
        (
            "--trainer.max_epochs -1 --trainer.max_time 00:01:00:00",
            "model.schedule needs to know the end of the training",
        ),
        (
            "--trainer.limit_train_batches 0",
            "the training made no step: its split gives no batch, or trainer.limit_train",
        ),
        ("--trainer.barebones true", "trainer.barebones is True, with which no metric is recorded; remove it."),
        (f"--trainer.callbacks+ {MISSPELT}", "Early stopping conditioned on metric `val_loss` which is not available."),
        (
            "--ckpt_path runs/plain/fit0",
            "ckpt_path is 'runs/plain/fit0', a folder; give the checkpoint in it, runs/plain/fit0/last",
        ),
        ("--trainer.val_check_interval 100", "`val_check_interval` (100) must be less than or equal to the number"),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(words, message, refused):
    assert refused(*words.split()).startswith(message)


def test_a_fault_of_arithmetic_in_the_code_is_no_loss_that_is_not_finite(refused):
    with pytest.raises(ZeroDivisionError):
        main(["fit", "--config", "plain.yaml", "--trainer.callbacks+", f"{__name__}.Dividing"])
    assert not list(Path("runs/plain/fit1").glob("result.json"))


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_a_checkpoint_of_another_width_is_one_sentence(command, refused):
    words = ("--ckpt_path", "runs/plain/fit0/last.ckpt", "--model.backbone.width", "24")
    message = refused(*words, command=command)
    assert message.startswith("ckpt_path runs/plain/fit0/last.ckpt holds another model: backbone.")
    assert "(1, 1, 16) in it and (1, 1, 24) in the model, and " in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; the download or the copy has failed."),
        (b"<html>", "is not a checkpoint but an HTML page; the download gave a page instead of the file."),
        (b"PK\x03\x04 half an archive", "is not a checkpoint of a training ("),
    ],
)
def test_a_file_that_is_not_a_checkpoint_is_refused_in_one_sentence(content, message, refused):
    Path("other.ckpt").write_bytes(content)
    assert refused("--ckpt_path", "other.ckpt").startswith(f"ckpt_path other.ckpt {message}")


def test_a_fault_in_the_code_keeps_its_traceback(refused):
    with pytest.raises(ValueError, match="too many values to unpack"):
        main(
            [
                *("fit", "--config", "plain.yaml"),
                *("--model.backbone.every.feed_forward.op.activation", f"{__name__}.Broken"),
            ]
        )

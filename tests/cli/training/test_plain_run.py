"""A configuration without arms: one training run, and what is done with its checkpoint."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Callback

from tests.cli.tiny_ablation import LIGHTNING, PLAIN, write
from vitcli.main import main
from vitcli.training.plain_run import results_name

pytestmark = LIGHTNING


class Interrupting(Callback):
    """Does what Ctrl-C does, in the first batch."""

    def on_train_batch_end(self, *arguments: object) -> None:
        raise KeyboardInterrupt


def logged(path: Path) -> dict[str, float]:
    """Return the last value of every column of a metrics.csv."""
    with path.open() as file:
        return {name: float(value) for row in csv.DictReader(file) for name, value in row.items() if value}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    # Validation comes after every second epoch alone: the last checkpoint is of the third all the same.
    trainer = PLAIN["trainer"] | {"max_epochs": 3, "check_val_every_n_epoch": 2}
    path = write(folder / "plain.yaml", PLAIN, trainer=trainer, runs=str(folder / "runs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["fit", "--config", path]) == 0
    return folder / "runs" / "plain" / "fit0"


def test_a_run_leaves_its_configuration_metrics_weights_and_result(trained):
    assert {path.name for path in trained.iterdir() if "tfevents" not in path.name} == {
        "config.yaml",
        "hparams.yaml",
        "last.ckpt",
        "metrics.csv",
        "result.json",
    }
    result = json.loads((trained / "result.json").read_text())
    assert (result["status"], result["epochs"], result["train_images"]) == ("done", 3, 3 * 2 * 64)
    assert set(result["metrics"]) == {"test/loss", "test/acc1", "test/acc5"}
    assert {"train/loss", "val/loss", "val/acc1", "test/acc1"} <= set(logged(trained / "metrics.csv"))
    assert [path.name for path in trained.parents[2].iterdir() if path.is_dir()] == ["runs"]


def test_the_checkpoint_is_of_the_last_epoch_and_needs_no_code_to_load(trained):
    state = torch.load(trained / "last.ckpt", weights_only=True)
    assert (state["epoch"], state["global_step"]) == (2, 6)


def test_the_written_configuration_reproduces_the_metrics_and_the_bits(trained):
    before = set(trained.parent.iterdir())
    assert main(["fit", "--config", str(trained / "config.yaml")]) == 0
    (again,) = set(trained.parent.iterdir()) - before
    results = [json.loads((place / "result.json").read_text())["metrics"] for place in (trained, again)]
    assert results[0] == results[1]
    first, second = (torch.load(place / "last.ckpt", weights_only=True)["state_dict"] for place in (trained, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (again / "config.yaml").read_text() == (trained / "config.yaml").read_text()


def test_a_second_run_gets_a_directory_of_its_own(trained):
    kept, before = (trained / "result.json").read_bytes(), set(trained.parent.iterdir())
    config = str(trained.parents[2] / "plain.yaml")
    assert main(["fit", "--config", config, "--trainer.max_epochs", "1", "--seed_everything", "1"]) == 0
    (new,) = set(trained.parent.iterdir()) - before
    assert (new / "result.json").exists()
    assert (trained / "result.json").read_bytes() == kept


def test_a_trial_that_is_trained_again_gets_a_folder_beside_its_ablation(trained, tmp_path):
    trial = tmp_path / "act" / "h_swish" / "seed0"
    trial.mkdir(parents=True)
    (trial / "trial.json").touch()
    assert results_name(str(trial / "config.yaml")) == "act-h_swish-seed0"
    assert results_name(str(trained / "config.yaml")) == "plain"
    assert results_name("config.yaml") == "config"


@pytest.mark.slow
def test_the_progress_bar_shows_loss_speed_and_metric_and_the_size_is_printed_once(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    trainer = PLAIN["trainer"] | {"enable_progress_bar": True, "enable_model_summary": None, "max_epochs": 2}
    assert main(["fit", "--config", write(tmp_path / "bar.yaml", PLAIN, trainer=trainer)]) == 0
    out, progress = capfd.readouterr()
    shown = out + progress
    assert all(part in shown for part in ("loss=", "images/s=", "val/acc1="))
    assert not any(noise in shown for noise in ("FLOPs", "Tip: For"))
    assert shown.count("million multiply-adds for one image") == 1


@pytest.mark.parametrize("split", ["validate", "test"])
def test_a_checkpoint_scores_as_it_did_after_training(split, trained, capsys):
    words = ["--config", str(trained / "config.yaml"), "--ckpt_path", str(trained / "last.ckpt")]
    assert main([split, *words]) == 0
    scores = logged(trained.parents[1] / "plain" / f"{split}0" / "metrics.csv")
    if split == "test":
        result = json.loads((trained / "result.json").read_text())["metrics"]
        assert {name: scores[name] for name in result} == pytest.approx(result, abs=1e-9)
    else:
        assert set(scores) >= {"val/loss", "val/acc1", "val/acc5"}
    assert f"Run: {trained.parents[1] / 'plain' / f'{split}0'}" in capsys.readouterr().out.replace("\n", "")


def test_a_checkpoint_after_a_validation_scores_as_that_validation(trained):
    config = str(trained / "config.yaml")
    words = ["--trainer.max_epochs", "2", "--runs", str(trained.parents[1] / "two")]
    assert main(["fit", "--config", config, *words]) == 0
    run = trained.parents[1] / "two" / "plain" / "fit0"
    assert main(["validate", "--config", config, "--ckpt_path", str(run / "last.ckpt"), *words]) == 0
    scores = logged(run.parent / "validate0" / "metrics.csv")
    assert scores["val/loss"] == logged(run / "metrics.csv")["val/loss"]
    assert scores["val/acc1"] == logged(run / "metrics.csv")["val/acc1"]


def test_predicting_writes_nothing(trained):
    before = sorted(trained.parents[1].rglob("*"))
    words = ["--config", str(trained / "config.yaml"), "--ckpt_path", str(trained / "last.ckpt")]
    assert main(["predict", *words]) == 0
    assert sorted(trained.parents[1].rglob("*")) == before


def test_a_training_goes_on_from_a_checkpoint(trained):
    words = [
        "--ckpt_path",
        str(trained / "last.ckpt"),
        "--trainer.max_epochs",
        "4",
        "--runs",
        str(trained.parents[1] / "on"),
    ]
    assert main(["fit", "--config", str(trained / "config.yaml"), *words]) == 0
    run = trained.parents[1] / "on" / "plain" / "fit0"
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 8
    assert torch.load(trained / "last.ckpt", weights_only=True)["global_step"] == 6
    assert yaml.safe_load((run / "config.yaml").read_text())["ckpt_path"] == str(trained / "last.ckpt")


def test_a_training_that_fails_says_so_and_is_recorded(trained, capsys):
    words = ["--model.optimizer.lr", "1e30", "--runs", str(trained.parents[1] / "hot")]
    assert main(["fit", "--config", str(trained / "config.yaml"), *words]) == 1
    run = trained.parents[1] / "hot" / "plain" / "fit0"
    result = json.loads((run / "result.json").read_text())
    assert (result["format"], result["status"]) == (1, "failed")
    assert result["cause"].startswith("the loss is nan at step 1 (epoch 0, batch 1; ")
    assert f"vitcli: {run}: the training failed: {result['cause']}." in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*Detected KeyboardInterrupt")
def test_ctrl_c_ends_a_run_with_130(trained):
    words = ["--trainer.callbacks+", f"{__name__}.Interrupting", "--runs", str(trained.parents[1] / "stopped")]
    assert main(["fit", "--config", str(trained / "config.yaml"), *words]) == 130
    assert not list((trained.parents[1] / "stopped").rglob("result.json"))

"""The user's own loggers get the name of the experiment, the arm and the seed."""

import csv
from pathlib import Path

import pytest

from tests.cli.tiny_ablation import ABLATION, PLAIN, TRAINER, write
from vitcli.main import main
from vitcli.training.loggers import with_names

TRIAL = ("localvit_act", "h_swish", "seed3")
RUN = ("localvit", "fit0")
LOGGERS = "lightning.pytorch.loggers"


def named(kind: str, names: tuple[str, ...], **given):
    (logger,) = with_names([{"class_path": f"{LOGGERS}.{kind}", "init_args": given}], Path("place"), names)
    return logger["init_args"]


def test_a_run_of_wandb_has_the_name_of_the_trial_in_the_group_of_its_arm():
    assert named("WandbLogger", TRIAL, name=None, project=None, offline=True) == {
        "name": "h_swish-seed3", "group": "h_swish", "tags": ["h_swish", "seed3"], "project": "localvit_act",
        "offline": True,
    }  # fmt: skip


def test_what_the_user_names_stays():
    given = {"name": "mine", "group": "ours", "tags": ["x"], "project": "theirs"}
    assert named("WandbLogger", TRIAL, **given) == given


def test_a_run_of_mlflow_has_tags_for_arm_and_seed():
    default = {"experiment_name": "lightning_logs", "run_name": None, "tags": None}
    assert named("MLFlowLogger", TRIAL, **default) == {
        "experiment_name": "localvit_act", "run_name": "h_swish-seed3", "tags": {"arm": "h_swish", "seed": "seed3"},
    }  # fmt: skip
    assert named("MLFlowLogger", RUN, **default)["tags"] == {"run": "fit0"}


@pytest.mark.parametrize("kind", ["CSVLogger", "TensorBoardLogger"])
def test_files_lie_in_the_trials_directory_or_below_the_given_one_by_arm_and_seed(kind):
    default = {"name": "lightning_logs", "version": None}
    assert named(kind, TRIAL, save_dir="logs", **default) == {"save_dir": "logs", "name": "h_swish", "version": "seed3"}
    own = named(kind, TRIAL, save_dir=".", **default)
    assert (own["save_dir"], own["name"]) == ("place", "")
    assert own["version"] in ("csv_logger", "tensorboard_logger")


@pytest.mark.slow
def test_the_loggers_of_an_ablation_tell_its_trials_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = {**TRAINER, "logger": [{"class_path": "CSVLogger"}, {"class_path": "CSVLogger", "save_dir": "logs"}]}
    path = write(tmp_path / "a.yaml", PLAIN, {"trainer": trainer, "ablation": {**ABLATION, "seeds": 1}})
    assert main(["fit", "--config", path, "--quick"]) == 0
    for arm in ABLATION["arms"]:
        for file in (f"runs/a/{arm}/seed0/csv_logger/metrics.csv", f"logs/{arm}/seed0/metrics.csv"):
            with open(file) as rows:
                assert any(row.get("test/acc1") for row in csv.DictReader(rows))


@pytest.mark.slow
@pytest.mark.exhaustive
def test_wandb_and_mlflow_have_the_arms_and_seeds(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 asks for a database otherwise
    monkeypatch.setenv("WANDB_MODE", "offline")
    loggers = [
        {"class_path": "WandbLogger", "offline": True},
        {"class_path": "MLFlowLogger", "tracking_uri": f"file:{tmp_path}/mlruns"},
    ]
    trainer = {**TRAINER, "logger": loggers}
    path = write(tmp_path / "a.yaml", PLAIN, {"trainer": trainer, "ablation": {**ABLATION, "seeds": 1}})
    assert main(["fit", "--config", path, "--quick"]) == 0
    runs = mlflow.MlflowClient(f"file:{tmp_path}/mlruns")
    experiment = runs.get_experiment_by_name("a")
    found = {run.info.run_name: run.data.tags["arm"] for run in runs.search_runs([experiment.experiment_id])}
    assert found == {f"{arm}-seed0": arm for arm in ABLATION["arms"]}
    kept = list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert len(kept) == len(ABLATION["arms"])
    assert all(
        any(arm.encode() in file.read_bytes() for file in kept)
        for arm in (f"{name}-seed0" for name in ABLATION["arms"])
    )

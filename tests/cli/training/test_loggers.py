"""The user's own loggers get the name of the experiment, the arm and the seed."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger

from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, TRAINER, write
from vitcli.config.command_line import parse_run
from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import base_config, resolve
from vitcli.main import main
from vitcli.measure.cost import checked_cost
from vitcli.training.loggers import for_a_look, with_names

pytestmark = LIGHTNING

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


@pytest.mark.parametrize(
    ("kind", "uri", "kept"),
    [
        ("MLFlowLogger", None, "file:/scratch"),
        ("MLFlowLogger", "file:./mlruns", "file:/scratch"),
        ("MLFlowLogger", "file:///data/mlruns", "file:/scratch"),
        ("MLFlowLogger", "https://mlflow.example.org", "https://mlflow.example.org"),
        ("MLFlowLogger", "sqlite:///mlflow.db", None),
        ("CometLogger", None, None),
    ],
)
def test_a_plan_builds_no_logger_that_leaves_a_trace(kind, uri, kept, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    csv_logger = {"class_path": f"{LOGGERS}.CSVLogger", "init_args": {"save_dir": "."}}
    logger = {"class_path": f"{LOGGERS}.{kind}", "init_args": {"tracking_uri": uri}}
    seen = for_a_look({"logger": [csv_logger, logger]}, "/scratch")["logger"]
    assert seen[0] == csv_logger
    assert [one["init_args"]["tracking_uri"] for one in seen[1:]] == ([] if kept is None else [kept])
    assert for_a_look({"logger": logger}, "/scratch")["logger"] == (seen[1] if kept else None)


class Refusing(CSVLogger):
    def __init__(self, save_dir: str = "."):
        raise RuntimeError("the store is closed")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("logger", f"[CSVLogger, {__name__}.Refusing]", "the store is closed"),
        ("callbacks", "{class_path: EarlyStopping, monitor: x, mode: up}", "`mode` can be min, max, got up"),
    ],
)
def test_what_a_logger_or_a_callback_refuses_is_said_in_its_words(key, value, message, tmp_path):
    path = write(tmp_path / "a.yaml", PLAIN)
    arguments = parse_run("fit", ["--config", path, f"--trainer.{key}", value])
    with pytest.raises(ConfigError, match=f"^a.yaml: {re.escape(message)}\\.$"):
        checked_cost(resolve(base_config(arguments), path), "a.yaml")


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
    # Processes of their own, as a shell starts them, since those that plan and train keep the environment of their first use.
    subprocess.run([sys.executable, "-m", "vitcli.main", "plan", path], check=True)
    assert [one.name for one in tmp_path.iterdir()] == ["a.yaml"]
    subprocess.run([sys.executable, "-m", "vitcli.main", "fit", "--config", path, "--quick"], check=True)
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

"""One run on several processes: one directory, one result, and a model that averaging can copy."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.cli.tiny_ablation import LIGHTNING, PLAIN, write
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import VitCLI, base_config, resolve
from vitcli.training.ranks import common_directory, is_first_rank

pytestmark = LIGHTNING

AVERAGING = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.9}}
SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NAME": "train",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "2",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_NNODES": "1",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "localhost",
}


def configured(folder: Path) -> str:
    trainer = PLAIN["trainer"] | {"devices": 2, "use_distributed_sampler": False, "callbacks": [AVERAGING]}
    return write(folder / "two.yaml", PLAIN, trainer=trainer)


def test_a_model_from_a_configuration_can_be_copied_after_the_trainer_has_it(tmp_path):
    arguments = parse_arguments(["--config", write(tmp_path / "plain.yaml", PLAIN, runs=str(tmp_path))])
    cli = VitCLI(resolve(base_config(arguments), arguments.place))
    cli.model.trainer = cli.trainer
    optimizer = copy.deepcopy(cli.model.optimizer)([torch.zeros(1, requires_grad=True)])
    assert isinstance(optimizer, torch.optim.AdamW)
    assert copy.deepcopy(cli.model.schedule)(optimizer, 10).get_last_lr()


def test_only_one_of_the_processes_is_the_first(monkeypatch):
    assert is_first_rank()
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert is_first_rank()
    monkeypatch.setenv("RANK", "4")
    assert not is_first_rank()


def test_the_processes_of_a_slurm_step_agree_on_the_directory(tmp_path, monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert common_directory(lambda: tmp_path / "fit3", tmp_path) == tmp_path / "fit3"
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert common_directory(lambda: tmp_path / "fit4", tmp_path) == tmp_path / "fit3"


def one_run(folder: Path) -> None:
    """Check that two processes left one directory with one result of both."""
    (directory,) = (folder / "runs" / "two").glob("fit*")
    result = json.loads((directory / "result.json").read_text())
    assert (result["status"], result["train_images"]) == ("done", 2 * 2 * 64)
    assert (directory / "last.ckpt").is_file()


def vitcli(path: str, *before: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, *before, "-m", "vitcli.main", "fit", "--config", path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, cwd=Path(path).parent, env=environment, text=True, stdout=-1, stderr=-1)


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the end, check that it is a good one, and return what was printed."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out


@pytest.mark.slow
def test_lightning_starts_the_second_process_and_weights_are_averaged(tmp_path):
    assert ended(vitcli(configured(tmp_path))).count("Run: runs/two/fit0") == 1
    one_run(tmp_path)


@pytest.mark.exhaustive
def test_torchrun_starts_both_processes(tmp_path):
    ended(vitcli(configured(tmp_path), "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"))
    one_run(tmp_path)


@pytest.mark.exhaustive
def test_srun_starts_both_processes(tmp_path):
    path = configured(tmp_path)
    ranks = [vitcli(path, **SLURM, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)) for rank in (0, 1)]
    assert "".join(ended(process) for process in ranks).count("Run: runs/two/fit0") == 1
    one_run(tmp_path)

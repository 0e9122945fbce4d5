"""One run on several processes: one directory, one result, and a model that averaging can copy."""

import copy
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from tests.cli.shipped.trainings import free_port
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, results, write
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import VitCLI, base_config, resolve
from vitcli.main import main
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


def configured(folder: Path, nodes: int = 1) -> str:
    """A configuration of two processes, on so many machines."""
    places = {"devices": 2 // nodes, "num_nodes": nodes}
    trainer = PLAIN["trainer"] | places | {"use_distributed_sampler": False, "callbacks": [AVERAGING]}
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
    places = os.pathsep.join((str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places, **environment}
    return subprocess.Popen(
        command, cwd=Path(path).parent, env=environment, text=True, stdout=-1, stderr=-1, start_new_session=True
    )


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the end, check that it is a good one, and return what was printed."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out


@pytest.mark.slow
def test_lightning_starts_the_second_process_and_weights_are_averaged(tmp_path):
    assert ended(vitcli(configured(tmp_path))).count("Run: runs/two/fit0") == 1
    one_run(tmp_path)


class Told(Callback):
    """Sends SIGTERM to the last of the processes in the first step of the second epoch; the others are told by it."""

    def on_train_batch_start(self, trainer, module, batch, index):
        if (trainer.current_epoch, index, trainer.global_rank) == (1, 0, trainer.world_size - 1):
            os.kill(os.getpid(), signal.SIGTERM)


class Greedy(Callback):
    """Runs out of memory in the second of the processes alone."""

    def on_train_batch_start(self, trainer, module, batch, index):
        if trainer.global_rank == 1:
            raise MemoryError


@pytest.mark.exhaustive
def test_memory_that_runs_out_in_one_of_the_processes_ends_all_of_them(tmp_path):
    two = vitcli(of_size(tmp_path, "two.yaml", 2, trainer={"callbacks": [f"{__name__}.Greedy"]}))
    _, errors = two.communicate(timeout=300)
    assert two.returncode not in (0, None)
    assert "the training failed: the memory of cpu ran out with a batch of 32 images" in errors


def of_size(folder: Path, name: str, processes: int, **changes: object) -> str:
    """A configuration of two epochs of two steps of 64 images, on so many processes; 101 images are validated and tested."""
    data = PLAIN["data"] | {"batch_size": 64 // processes, "val_size": 101, "test_size": 101}
    trainer = PLAIN["trainer"] | {"devices": processes, "max_epochs": 2, **changes.pop("trainer", {})}
    return write(folder / name, PLAIN, {"data": data, "trainer": trainer, "runs": str(folder), **changes})


def rows(run: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv."""
    with (run / "metrics.csv").open() as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]


WITHOUT_BATCH_NORM = copy.deepcopy(PLAIN["model"])
WITHOUT_BATCH_NORM["init_args"]["backbone"]["class_path"] = "vitmodels.deit_tiny"
del WITHOUT_BATCH_NORM["init_args"]["backbone"]["every.feed_forward.op.channel_attention.reduction"]


@pytest.mark.slow
def test_two_processes_compute_what_one_does_and_either_goes_on_from_the_other(tmp_path):
    callbacks = {"trainer": {"callbacks": [f"{__name__}.Told"]}}
    whole = of_size(tmp_path, "whole.yaml", 1, model=WITHOUT_BATCH_NORM)
    assert main(["fit", "--config", whole]) == 0
    two = vitcli(of_size(tmp_path, "two.yaml", 2, model=WITHOUT_BATCH_NORM, **callbacks))
    _, errors = two.communicate(timeout=300)
    assert two.returncode == 143, errors
    assert "SIGTERM ended the training in epoch 1, after 1 of its batches" in errors
    alone, together = rows(tmp_path / "whole" / "fit0"), rows(tmp_path / "two" / "fit0")
    assert together == [pytest.approx(row, rel=1e-4) for row in alone[:2]]
    saved = tmp_path / "two" / "fit0" / "last.ckpt"
    again = of_size(tmp_path, "again.yaml", 1, model=WITHOUT_BATCH_NORM, ckpt_path=str(saved))
    assert main(["fit", "--config", again]) == 0
    assert rows(tmp_path / "again" / "fit0") == [pytest.approx(row, rel=1e-4) for row in alone[2:]]


@pytest.mark.exhaustive
def test_two_processes_go_on_from_a_checkpoint_of_one(tmp_path):
    whole = of_size(tmp_path, "whole.yaml", 1, model=WITHOUT_BATCH_NORM)
    assert main(["fit", "--config", whole]) == 0
    with pytest.raises(SystemExit):
        main(["fit", "--config", whole, "--trainer.callbacks", f"{__name__}.Told"])
    saved = tmp_path / "whole" / "fit1" / "last.ckpt"
    ended(vitcli(of_size(tmp_path, "two.yaml", 2, model=WITHOUT_BATCH_NORM, ckpt_path=str(saved))))
    assert rows(tmp_path / "two" / "fit0") == [
        pytest.approx(row, rel=1e-4) for row in rows(tmp_path / "whole" / "fit0")[2:]
    ]


@pytest.mark.exhaustive
@pytest.mark.parametrize("folder", [False, True])
def test_sharded_parameters_give_the_numbers_of_one_process_and_go_on(folder, tmp_path):
    assert main(["fit", "--config", of_size(tmp_path, "whole.yaml", 1, model=WITHOUT_BATCH_NORM)]) == 0
    strategy = {"class_path": "vittasks.FullySharded", "init_args": {"save_distributed_checkpoint": folder}}
    trainer = {"strategy": strategy, "callbacks": [f"{__name__}.Told"]}
    path = of_size(tmp_path, "two.yaml", 2, model=WITHOUT_BATCH_NORM, trainer=trainer, ckpt_path="last")
    _, errors = (told := vitcli(path)).communicate(timeout=300)
    assert told.returncode == 143, errors
    saved = tmp_path / "two" / "fit0" / "last.ckpt"
    assert saved.is_dir() == folder
    ended(vitcli(path))
    expected = [pytest.approx(row, rel=1e-4) for row in rows(tmp_path / "whole" / "fit0")]
    assert rows(saved.parent) == expected
    alone = of_size(
        tmp_path, "alone.yaml", 1, model=WITHOUT_BATCH_NORM, ckpt_path=str(saved), trainer={"max_epochs": 3}
    )
    assert main(["fit", "--config", alone]) == (2 if folder else 0)


@pytest.mark.exhaustive
def test_batch_norm_of_half_a_batch_changes_little(tmp_path):
    assert main(["fit", "--config", of_size(tmp_path, "whole.yaml", 1)]) == 0
    ended(vitcli(of_size(tmp_path, "two.yaml", 2)))
    alone, together = (
        [row["train/loss"] for row in rows(tmp_path / name / "fit0") if "train/loss" in row]
        for name in ("whole", "two")
    )
    assert together != pytest.approx(alone, rel=1e-6)
    assert together == pytest.approx(alone, rel=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="torch synchronises BatchNorm on GPUs only")
def test_synchronised_batch_norm_of_two_processes_is_that_of_one(tmp_path):
    gpu = {"accelerator": "gpu"}
    ended(vitcli(of_size(tmp_path, "whole.yaml", 1, trainer=gpu)))
    ended(vitcli(of_size(tmp_path, "two.yaml", 2, trainer={**gpu, "sync_batchnorm": True})))
    assert rows(tmp_path / "two" / "fit0") == [
        pytest.approx(row, rel=1e-3) for row in rows(tmp_path / "whole" / "fit0")
    ]


@pytest.mark.exhaustive
@pytest.mark.parametrize("nodes", [1, 2])
def test_torchrun_starts_both_processes_on_one_machine_or_two(nodes, tmp_path):
    path, meeting = configured(tmp_path, nodes), ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    start = ["-m", "torch.distributed.run", f"--nnodes={nodes}", f"--nproc-per-node={2 // nodes}", *meeting]
    machines = [vitcli(path, *start, f"--node-rank={number}") for number in range(nodes)]
    assert "".join(ended(one) for one in machines).count("Run: runs/two/fit0") == 1
    one_run(tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("nodes", [1, 2])
def test_srun_starts_both_processes_on_one_machine_or_two(nodes, tmp_path):
    path, each = configured(tmp_path, nodes), 2 // nodes
    step = SLURM | {"SLURM_NTASKS_PER_NODE": str(each), "SLURM_NNODES": str(nodes), "MASTER_PORT": str(free_port())}
    places = [{"SLURM_PROCID": rank, "SLURM_LOCALID": rank % each, "SLURM_NODEID": rank // each} for rank in (0, 1)]
    ranks = [vitcli(path, **(step | {name: str(value) for name, value in one.items()})) for one in places]
    assert "".join(ended(process) for process in ranks).count("Run: runs/two/fit0") == 1
    one_run(tmp_path)


SALLOC = {name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"} | {
    "SLURM_PROCID": "0",
    "SLURM_NTASKS": "4",
}


@pytest.mark.parametrize("step", [{}, pytest.param({"SLURM_STEP_ID": "4294967290"}, marks=pytest.mark.slow)])
def test_inside_an_allocation_without_srun_a_training_is_alone(step, tmp_path, monkeypatch):
    for name, value in (SALLOC | step).items():
        monkeypatch.setenv(name, value)
    trainer = PLAIN["trainer"] | {"limit_train_batches": 1, "limit_val_batches": 0, "limit_test_batches": 1}
    path = write(tmp_path / "two.yaml", PLAIN, trainer=trainer, runs=str(tmp_path))
    assert main(["fit", "--config", path]) == 0


def test_a_training_on_two_machines_that_was_started_on_one_is_refused(tmp_path, monkeypatch, capsys):
    for name, value in SALLOC.items():
        monkeypatch.setenv(name, value)
    path = write(tmp_path / "two.yaml", PLAIN, trainer=PLAIN["trainer"] | {"num_nodes": 2})
    assert main(["fit", "--config", path]) == 2
    assert (
        "trainer.num_nodes is 2, but this process was started alone; start it on every machine with"
        in capsys.readouterr().err
    )


@pytest.mark.exhaustive
def test_inside_an_allocation_the_local_runner_trains_on_two_devices(tmp_path):
    trainer = PLAIN["trainer"] | {"devices": 2}
    path = write(
        tmp_path / "arms.yaml", PLAIN, trainer=trainer, ablation=ABLATION | {"seeds": 1, "arms": {"plain": {}}}
    )
    assert "[1/1] plain seed 0" in ended(vitcli(path, **SALLOC))
    (result,) = results(tmp_path / "runs" / "arms").values()
    assert (result["status"], result["train_images"]) == ("done", 2 * 2 * 64)

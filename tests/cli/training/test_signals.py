"""SIGTERM and SIGUSR1: the training saves, ends with the signal's exit code, and continues with the same numbers."""

import os
import signal
import subprocess
import sys

import pytest
import torch
from lightning.pytorch import Callback

from tests.cli.tiny_ablation import LIGHTNING, PLAIN, write
from tests.cli.training.test_continuation import EMA, final, resolved, same
from tests.cli.training.test_devices import vitcli
from vitcli.main import main
from vitcli.training.checkpoints import PREVIOUS, newest_checkpoint, read_checkpoint
from vitcli.training.run import fit_and_test
from vittasks import DigitScenes

pytestmark = LIGHTNING


class SendSignal(Callback):
    """Sends a signal to its own process at a batch of an epoch, or in an epoch's validation (batch -1)."""

    def __init__(self, number: int, epoch: int, batch: int) -> None:
        self.number, self.at = number, (epoch, batch)

    def on_train_batch_start(self, trainer, module, batch, index):
        self.send_at((trainer.current_epoch, index))

    def on_validation_start(self, trainer, module):
        self.send_at((trainer.current_epoch, -1))

    def send_at(self, here):
        if here == self.at:
            os.kill(os.getpid(), self.number)
            os.kill(os.getpid(), self.number)  # Slurm and srun both send it


class SendSignalToGroup(Callback):
    """Has SIGTERM sent to all processes of its group, as Slurm sends it, among them those that load data."""

    def on_train_batch_start(self, trainer, module, batch, index):
        subprocess.run([sys.executable, "-c", "import os, signal; os.killpg(0, signal.SIGTERM)"], check=False)


class Forgetful(DigitScenes):
    """Data whose loader cannot go on within an epoch."""

    def train_dataloader(self):
        given = super().train_dataloader()
        return torch.utils.data.DataLoader(given.dataset, given.batch_size, drop_last=True, generator=torch.Generator())


RECIPE = {
    "trainer": {"callbacks": [EMA], "limit_train_batches": 3, "max_epochs": 2},
    "backbone": {"drop_path_rate": 0.4},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return fit_and_test(resolved(folder, **RECIPE), folder / "run"), folder / "run"


@pytest.mark.parametrize(
    ("sender", "code", "epochs", "steps"),
    [
        pytest.param(SendSignal(signal.SIGTERM, 1, 1), 143, 1, 5, id="within an epoch"),
        pytest.param(SendSignal(signal.SIGUSR1, 0, 0), 138, 0, 1, id="in the first step"),
        pytest.param(
            SendSignal(signal.SIGTERM, 0, 2), 143, 1, 3, id="in the last step of an epoch", marks=pytest.mark.slow
        ),
        pytest.param(SendSignal(signal.SIGTERM, 0, -1), 143, 1, 3, id="in a validation", marks=pytest.mark.slow),
        pytest.param(SendSignal(signal.SIGTERM, 1, -1), 143, 2, 6, id="in the last validation", marks=pytest.mark.slow),
    ],
)
def test_a_training_that_a_signal_ends_goes_on_with_the_same_numbers(sender, code, epochs, steps, whole, tmp_path):
    config, run = resolved(tmp_path, **RECIPE), tmp_path / "run"
    with pytest.raises(SystemExit) as end:
        fit_and_test(config, run, (sender,))
    assert end.value.code == code
    past = read_checkpoint(run / "last.ckpt")
    assert (past.epochs, past.steps) == (epochs, steps)
    result = fit_and_test(config, run, (), past)
    assert result["metrics"] == whole[0]["metrics"]
    assert (run / "metrics.csv").read_bytes() == (whole[1] / "metrics.csv").read_bytes()
    for part in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
        assert same(final(run)[part], final(whole[1])[part])
    assert not (run / PREVIOUS).exists()


@pytest.mark.slow
def test_data_that_do_not_know_their_place_have_the_epoch_repeated(tmp_path):
    changes = {"data": {"class_path": f"{__name__}.Forgetful"}}
    config, runs = resolved(tmp_path, **changes), [tmp_path / "whole", tmp_path / "interrupted"]
    results = [fit_and_test(config, runs[0])]
    with pytest.raises(SystemExit):
        fit_and_test(config, runs[1], (SendSignal(signal.SIGTERM, 1, 0),))
    past = read_checkpoint(runs[1] / "last.ckpt")
    assert (past.epochs, past.within) == (1, False)
    results.append(fit_and_test(config, runs[1], (), past))
    assert results[0]["metrics"] == results[1]["metrics"]


@pytest.mark.exhaustive
def test_processes_that_load_data_outlive_the_signal(tmp_path):
    trainer = PLAIN["trainer"] | {"callbacks": [f"{__name__}.SendSignalToGroup"], "max_epochs": 2}
    path = write(tmp_path / "all.yaml", PLAIN, data=PLAIN["data"] | {"workers": 1}, trainer=trainer)
    process = vitcli(path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 143, errors
    assert read_checkpoint(tmp_path / "runs" / "all" / "fit0" / "last.ckpt").steps == 1


class Failing(Callback):
    """Fails in the first validation, while the processes that load data live."""

    def on_validation_batch_end(self, *arguments: object, **named: object) -> None:
        raise ValueError("own")


@pytest.mark.exhaustive
def test_a_training_that_fails_ends_its_loaders(tmp_path):
    trainer = PLAIN["trainer"] | {"callbacks": [f"{__name__}.Failing"]}
    path = write(tmp_path / "fails.yaml", PLAIN, data=PLAIN["data"] | {"workers": 1}, trainer=trainer)
    process = vitcli(path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "ValueError: own" in errors


def test_the_handlers_of_before_are_there_again_after_a_training(whole):
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


@pytest.mark.slow
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(whole, tmp_path, capsys):
    config, run = resolved(tmp_path, **RECIPE), tmp_path / "run"
    with pytest.raises(SystemExit):
        fit_and_test(config, run, (SendSignal(signal.SIGTERM, 1, 0),))
    (run / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes()[:-1000])
    past = newest_checkpoint(run)
    assert (
        f"{run / 'last.ckpt'} is damaged: the training goes on from previous.ckpt, after epoch 1."
        in capsys.readouterr().err
    )
    assert fit_and_test(config, run, (), past)["metrics"] == whole[0]["metrics"]
    assert (run / "metrics.csv").read_bytes() == (whole[1] / "metrics.csv").read_bytes()


@pytest.mark.slow
def test_the_same_command_goes_on_after_a_signal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = PLAIN["trainer"] | {"callbacks": [{"class_path": f"{__name__}.SendSignal", "init_args": {}}]}
    trainer["callbacks"][0]["init_args"] = {"number": 15, "epoch": 0, "batch": 0}
    words = ["fit", "--config", write(tmp_path / "two.yaml", PLAIN, trainer=trainer), "--ckpt_path", "last"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 143
    message = "SIGTERM ended the training in epoch 0, after 1 of its batches; runs/two/fit0/last.ckpt is what it goes on from."
    assert message in capsys.readouterr().err
    assert main(words) == 0  # the step that the signal came in is done
    assert sorted(path.name for path in (tmp_path / "runs" / "two").iterdir()) == ["fit0"]
    assert read_checkpoint(tmp_path / "runs/two/fit0/last.ckpt").steps == 2
    with pytest.raises(SystemExit):
        main(words)  # the newest run is done: another one begins
    assert (tmp_path / "runs" / "two" / "fit1").exists()

"""A training that ended somewhere and goes on from its last checkpoint: the same numbers as if nothing had happened."""

import json
import zipfile

import pytest
import torch
from lightning.pytorch import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from tests.cli.tiny_ablation import LIGHTNING, PLAIN, write
from vitcli.ablation.trial import run_trial
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import base_config, resolve
from vitcli.main import main
from vitcli.training.checkpoints import read_checkpoint
from vitcli.training.run import fit_and_test
from vittasks import Classification

pytestmark = LIGHTNING

EPOCHS = 3
EMA = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.7}}
PATIENCE = {
    "class_path": "lightning.pytorch.callbacks.EarlyStopping",
    "init_args": {"monitor": "val/loss", "min_delta": 100.0, "patience": 1},
}
ID = "0123456789abcdef"


class ByEpoch(Classification):
    """Drops out, and changes its learning rate after each epoch."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone)
        self.drop = nn.Dropout(0.5)

    def forward(self, image):
        return super().forward(self.drop(image))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.3)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}


class Dying(Callback):
    """Ends the process' training where an epoch and a batch say, or when the test begins."""

    def __init__(self, epoch: int, batch: int = 0) -> None:
        self.at = (epoch, batch)

    def on_train_batch_start(self, trainer, module, batch, index):
        self.end((trainer.current_epoch, index))

    def on_test_start(self, trainer, module):
        self.end((trainer.current_epoch, 0))

    def end(self, here):
        if here == self.at:
            raise SystemExit


class Stops(Callback):
    """Ends the training in the middle of its second epoch, as a limit of time does."""

    def on_train_batch_end(self, trainer, *arguments):
        trainer.should_stop = trainer.current_epoch == 1


def resolved(folder, **changes):
    """The tiny training with these changes in its model, its data and its trainer."""
    model = changes.get("model") or {**PLAIN["model"], "init_args": {**PLAIN["model"]["init_args"]}}
    backbone = {**PLAIN["model"]["init_args"]["backbone"], **changes.get("backbone", {})}
    model["init_args"] = {**model.get("init_args", {}), "backbone": backbone}
    trainer = PLAIN["trainer"] | {"max_epochs": EPOCHS} | changes.get("trainer", {})
    data = PLAIN["data"] | changes.get("data", {})
    path = write(folder / "run.yaml", PLAIN, model=model, trainer=trainer, data=data, runs=str(folder))
    return resolve(base_config(parse_arguments(["--config", path])), path)


def train(config, directory, end=None):
    """Train until ``end``, then take up what is there."""
    if end:
        with pytest.raises(SystemExit):
            fit_and_test(config, directory, (end,))
    return fit_and_test(config, directory, (), read_checkpoint(directory / "last.ckpt"))


def final(directory):
    return torch.load(directory / "last.ckpt", weights_only=True)


WITHIN, BETWEEN, TESTING = Dying(1, 1), Dying(2), Dying(EPOCHS)

CASES = {
    "a plain training": ({}, (WITHIN, BETWEEN, TESTING)),
    "drop-path, mixup": (
        {
            "model": {**PLAIN["model"], "init_args": {"mixing": {"mixup": 0.8}}},
            "backbone": {"drop_path_rate": 0.4},
        },
        (WITHIN,),
    ),
    "averaged weights": ({"trainer": {"callbacks": [EMA]}}, (BETWEEN, TESTING)),
    "dropout, a schedule by epochs": ({"model": {"class_path": f"{__name__}.ByEpoch"}}, (WITHIN,)),
    "validation after every second epoch": ({"trainer": {"check_val_every_n_epoch": 2}}, (WITHIN,)),
    "accumulated gradients": ({"trainer": {"accumulate_grad_batches": 2}}, (WITHIN,)),
    "an early end": ({"trainer": {"callbacks": [PATIENCE]}}, (Dying(2),)),
}
SELDOM = ("validation after every second epoch", "accumulated gradients")


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow if c in SELDOM else ()) for c in CASES])
def test_a_continued_training_has_the_bits_of_an_uninterrupted_one(case, tmp_path):
    changes, ends = CASES[case]
    config = resolved(tmp_path, **changes)
    whole, there = train(config, tmp_path / "whole"), tmp_path / "whole"
    for number, end in enumerate(ends):
        here = tmp_path / str(number)
        again = train(config, here, end)
        assert again["metrics"] == whole["metrics"]
        assert (again["epochs"], again["train_images"]) == (whole["epochs"], whole["train_images"])
        assert (here / "metrics.csv").read_bytes() == (there / "metrics.csv").read_bytes()
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
            assert same(final(here)[part], final(there)[part])


@pytest.mark.parametrize("trainer", [{"callbacks": [PATIENCE]}, {"callbacks": [f"{__name__}.Stops"]}, {"max_steps": 3}])
def test_a_training_that_its_configuration_ends_early_is_scored(trainer, tmp_path):
    result = train(resolved(tmp_path, trainer=trainer), tmp_path / "run")
    assert set(result["metrics"]) == {"test/loss", "test/acc1", "test/acc5"}
    assert 0 < result["epochs"] < EPOCHS
    assert result["ended_early"] == ("max_steps" not in trainer)


def same(one, other):
    """Whether two nested states are equal, bit by bit."""
    return json.dumps(one, default=torch.Tensor.tolist) == json.dumps(other, default=torch.Tensor.tolist)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """An uninterrupted trial: its configuration, its directory and its result."""
    folder = tmp_path_factory.mktemp("plain")
    config = resolved(folder)
    return config, folder / "trial", try_(config, folder / "trial")


def try_(config, directory):
    return run_trial(config, directory, "plain", 0, ID, tell=lambda epoch: None)


@pytest.fixture
def dead(plain, tmp_path, monkeypatch):
    """A trial that died in its second epoch, twice."""
    config, _, _ = plain
    for end in (Dying(1, 0), Dying(1, 1)):
        with monkeypatch.context() as patch:
            patch.setattr("vitcli.ablation.trial._Report", lambda tell, end=end: end)
            with pytest.raises(SystemExit):
                try_(config, tmp_path / "trial")
    assert not (tmp_path / "trial" / "result.json").exists()
    return tmp_path / "trial"


def points(directory):
    """Every scalar that TensorBoard shows of a run, by name and step."""
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0}).Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_a_result_tells_after_which_epochs_the_trial_went_on(plain, dead):
    config, _, whole = plain
    result = try_(config, dead)
    assert whole["resumed"] == []
    assert result["resumed"] == [1, 1]
    assert result == json.loads((dead / "result.json").read_text())
    assert result["metrics"] == whole["metrics"]


def test_the_seconds_of_all_tries_are_added(plain, dead):
    config, _, _ = plain
    before = read_checkpoint(dead / "last.ckpt").seconds
    result = try_(config, dead)
    assert result["train_seconds"] > before > 0
    assert read_checkpoint(dead / "last.ckpt").seconds == pytest.approx(result["train_seconds"], abs=0.5)


def test_tensorboard_shows_each_step_once(plain, dead):
    config, there, _ = plain
    try_(config, dead)
    assert len(list(dead.glob("events.out.tfevents.*"))) > len(list(there.glob("events.out.tfevents.*")))
    assert points(dead) == points(there)


def test_a_trial_that_ended_before_its_first_checkpoint_begins_anew(plain, tmp_path, monkeypatch):
    config, there, whole = plain
    with monkeypatch.context() as patch:
        patch.setattr("vitcli.ablation.trial._Report", lambda tell: Dying(0, 1))
        with pytest.raises(SystemExit):
            try_(config, tmp_path)
    result = try_(config, tmp_path)
    assert (result["metrics"], result["resumed"]) == (whole["metrics"], [0])
    assert (tmp_path / "metrics.csv").read_bytes() == (there / "metrics.csv").read_bytes()
    assert points(tmp_path) == points(there)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def zeros(path):
    """Of the right size, but without the last half, as after a power cut."""
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2] + bytes(size - size // 2))


def flip(path):
    """One bit of one weight."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    content[largest.header_offset + 2000] ^= 1
    path.write_bytes(content)


def renamed(path):
    """A byte of the archive's index: a compression that nobody knows."""
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(content)


def foreign(path):
    torch.save({"epoch": 1, "state_dict": {}}, path)


def harmful(path):
    """A checkpoint that would run code if it were read as a pickle."""
    torch.save({"epoch": 1, "loops": Dying(0)}, path)


@pytest.mark.parametrize("damage", [cut, empty, zeros, flip, renamed, foreign, harmful])
def test_a_checkpoint_that_is_not_whole_is_noticed(damage, plain, tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes((plain[1] / "last.ckpt").read_bytes())
    assert read_checkpoint(path).epochs == EPOCHS
    damage(path)
    assert read_checkpoint(path) is None


@pytest.mark.parametrize(("name", "damage"), [("last.ckpt", cut), ("metrics.csv", empty)])
def test_a_trial_of_which_a_file_is_damaged_begins_anew(name, damage, plain, dead):
    config, there, whole = plain
    damage(dead / name)
    result = try_(config, dead)
    assert (result["metrics"], result["resumed"]) == (whole["metrics"], [1, 0])
    assert (dead / "metrics.csv").read_bytes() == (there / "metrics.csv").read_bytes()
    assert points(dead) == points(there)


def test_a_row_that_was_cut_short_costs_nothing(plain, dead):
    config, there, whole = plain
    with (dead / "metrics.csv").open("a") as file:
        file.write("1,2,0.0")
    result = try_(config, dead)
    assert (result["metrics"], result["resumed"]) == (whole["metrics"], [1, 1])
    assert (dead / "metrics.csv").read_bytes() == (there / "metrics.csv").read_bytes()


def test_the_configuration_in_a_trial_reproduces_it(plain, tmp_path):
    _, there, whole = plain
    assert main(["fit", "--config", str(there / "config.yaml"), "--runs", str(tmp_path)]) == 0
    again = json.loads((tmp_path / "-".join(there.parts[-3:]) / "fit0" / "result.json").read_text())
    assert (again["metrics"], again["train_images"]) == (whole["metrics"], whole["train_images"])


class Drawing(Callback):
    """Notes a number that the training could draw in each step, after drawing some more by itself."""

    def __init__(self, more: int) -> None:
        self.more, self.drawn = more, []

    def on_train_batch_end(self, *arguments):
        self.drawn.append(torch.rand(()).item())
        torch.rand(self.more)


def test_what_a_step_draws_depends_on_seed_epoch_and_step_alone(plain, tmp_path):
    config, _, _ = plain
    few, many, other = Drawing(1), Drawing(7), Drawing(1)
    fit_and_test(config, tmp_path / "few", (few,))
    fit_and_test(config, tmp_path / "many", (many,))
    fit_and_test({**config, "seed_everything": 1}, tmp_path / "other", (other,))
    assert few.drawn == many.drawn
    assert len({*few.drawn, *other.drawn}) == 2 * 2 * EPOCHS

import multiprocessing
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from vittasks.data.epoch_loader import EpochLoader, train_loader
from vittasks.data.sampling import EachOnce, EpochSampler, epoch_and_index, global_generators, sample_generator

# Lightning advises on things that a 12-sample run on a CPU is right not to do.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty.*"),
]


def pairs(sampler: EpochSampler, epoch: int) -> list[tuple[int, int]]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_an_epoch_holds_every_index_once_together_with_its_epoch():
    drawn = pairs(EpochSampler(50, seed=1), epoch=3)
    assert sorted(drawn) == [(3, index) for index in range(50)]
    assert drawn != sorted(drawn)


def test_the_order_is_drawn_from_seed_and_epoch_alone():
    first = pairs(EpochSampler(50, seed=1), epoch=3)
    torch.manual_seed(99)
    random.seed(99)
    sampler = EpochSampler(50, seed=1)
    assert pairs(sampler, epoch=4) != first
    assert pairs(sampler, epoch=3) == first
    assert [index for _, index in pairs(sampler, epoch=4)] != [index for _, index in first]
    assert pairs(EpochSampler(50, seed=2), epoch=3) != first


def test_the_order_of_seed_0_is_the_same_on_every_machine():
    assert [index for _, index in EpochSampler(8, seed=0)] == [1, 4, 5, 6, 2, 0, 3, 7]


def test_repeats_draw_fewer_samples_several_times_each_with_an_index_of_its_own():
    sampler = EpochSampler(12, seed=0, repeats=3)
    indices = [index for _, index in sampler]
    assert len(indices) == len(sampler) == 12
    assert len(set(indices)) == 12
    assert [index % 12 for index in indices[:3]] == [indices[0] % 12] * 3
    assert len({index % 12 for index in indices}) == 4


@pytest.mark.parametrize("arguments", [(0, 0, 1), (5, -1, 1), (5, 0, 0)])
def test_impossible_arguments_are_named(arguments):
    with pytest.raises(ValueError, match="EpochSampler: size and repeats must be at least 1 and seed at least 0"):
        EpochSampler(*arguments)


def test_a_batch_larger_than_an_epoch_is_refused():
    with pytest.raises(ValueError, match=r"must not exceed the 12 samples .* got batch_size=13"):
        train_loader(Pairs(), EpochSampler(12, seed=0), batch_size=13, workers=0)


def test_a_sample_s_stream_depends_on_each_of_seed_epoch_and_index():
    draws = [sample_generator(*triple).random() for triple in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]]
    assert draws[0] == draws[4]
    assert len(set(draws)) == 4


def test_global_generators_decide_what_is_drawn_inside_and_change_nothing_outside():
    def draw() -> tuple[float, float, float]:
        return random.random(), np.random.random(), torch.rand(()).item()

    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    expected = draw()
    torch.manual_seed(0), random.seed(0), np.random.seed(0)
    with global_generators(1, 2, 3):
        inside = draw()
    assert draw() == expected
    with global_generators(1, 2, 3):
        assert draw() == inside
    with global_generators(1, 2, 4):
        assert all(a != b for a, b in zip(draw(), inside, strict=True))


def test_a_plain_index_means_epoch_0():
    assert epoch_and_index(7) == (0, 7)
    assert epoch_and_index((2, 7)) == (2, 7)


def draw_as_rank(rank: int, folder: str, queue: multiprocessing.Queue) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    sampler = EpochSampler(13, seed=3)
    queue.put((rank, pairs(sampler, epoch=1), len(sampler)))
    distributed.destroy_process_group()


def test_two_processes_share_an_epoch_without_overlap(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=draw_as_rank, args=(rank, str(tmp_path), queue)) for rank in range(2)]
    for process in processes:
        process.start()
    drawn = {rank: (drawn, length) for rank, drawn, length in (queue.get(timeout=60) for _ in processes)}
    for process in processes:
        process.join()
    whole = pairs(EpochSampler(13, seed=3), epoch=1)
    assert drawn == {0: (whole[0:12:2], 6), 1: (whole[1:12:2], 6)}


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Its samples are the items that the sampler asked for."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, Tensor]:
        epoch, index = epoch_and_index(item)
        return torch.tensor(epoch), torch.tensor(index)


class PairsData(LightningDataModule):
    def __init__(self, workers: int) -> None:
        super().__init__()
        self.workers = workers

    def train_dataloader(self) -> EpochLoader:
        return train_loader(Pairs(), EpochSampler(12, seed=3), batch_size=4, workers=self.workers)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(torch.zeros(4, 1)), batch_size=4)


class Recorder(LightningModule):
    """Notes the epoch that the trainer believes in and the pairs of every training batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, list[tuple[int, int]]]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        self.seen.append((self.current_epoch, list(zip(batch[0].tolist(), batch[1].tolist(), strict=True))))
        return self.weight**2

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("score", 1.0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def run(
    epochs: int,
    workers: int,
    save: ModelCheckpoint | None = None,
    resume: Path | None = None,
    val_check_interval: float = 1.0,
    overfit_batches: int = 0,
) -> list[tuple[int, list[tuple[int, int]]]]:
    recorder = Recorder()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=[save] if save else [],
        enable_checkpointing=save is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        val_check_interval=val_check_interval,
        overfit_batches=overfit_batches,
    )
    trainer.fit(recorder, PairsData(workers), ckpt_path=resume, weights_only=True if resume else None)
    return recorder.seen


@pytest.fixture(scope="module")
def uninterrupted() -> list[tuple[int, list[tuple[int, int]]]]:
    return run(epochs=4, workers=0)


def test_a_lightning_run_advances_the_epoch_in_which_samples_are_drawn(uninterrupted):
    sampler = EpochSampler(12, seed=3)
    expected = [(epoch, pairs(sampler, epoch)[i : i + 4]) for epoch in range(4) for i in (0, 4, 8)]
    assert uninterrupted == expected


def test_workers_that_outlive_an_epoch_change_nothing(uninterrupted):
    assert run(epochs=4, workers=2) == uninterrupted


def test_a_worker_ends_at_the_signal_of_its_trainer_alone():
    others = multiprocessing.active_children()
    batches = iter(train_loader(Pairs(), EpochSampler(12, seed=0), batch_size=4, workers=1))
    next(batches)
    (worker,) = [child for child in multiprocessing.active_children() if child not in others]
    for number in (signal.SIGTERM, signal.SIGUSR1):
        kill = f"import os; os.kill({worker.pid}, {number:d})"
        subprocess.run([sys.executable, "-I", "-S", "-c", kill], check=True, timeout=60)
    assert len(list(batches)) == 2
    worker.terminate()
    worker.join(60)
    assert worker.exitcode == 0


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("when", "checked_every", "steps"),
    [
        ({"monitor": "score", "mode": "max", "save_top_k": -1}, 1.0, 6),
        ({"save_on_train_epoch_end": True, "save_top_k": -1}, 1.0, 6),
        ({"every_n_train_steps": 5}, 1.0, 5),
        ({"monitor": "score", "mode": "max", "save_top_k": -1}, 1 / 3, 4),
    ],
    ids=["after-validation", "after-an-epoch", "inside-an-epoch", "after-a-validation-inside-an-epoch"],
)
def test_a_resumed_run_goes_on_with_the_batches_of_the_uninterrupted_one(
    tmp_path, uninterrupted, workers, when, checked_every, steps
):
    def saving() -> ModelCheckpoint:
        return ModelCheckpoint(tmp_path, filename="{step}", **when)

    run(epochs=2, workers=workers, save=saving(), val_check_interval=checked_every)
    checkpoint = tmp_path / f"step={steps}.ckpt"
    resumed = run(epochs=4, workers=workers, save=saving(), resume=checkpoint, val_check_interval=checked_every)
    assert resumed == uninterrupted[steps:]


class RecorderOnDisk(Recorder):
    """Leaves what each rank saw in a file, since a forked rank's memory is lost."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_train_end(self) -> None:
        torch.save(self.seen, self.folder / f"rank{self.global_rank}.pt")


# Marked slow not for its time, half a second, but because it forks a session that may have started a GPU or threads.
@pytest.mark.slow
def test_lightning_s_distributed_training_keeps_the_sampler_s_own_shares(tmp_path):
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=2,
        strategy="ddp_fork",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(RecorderOnDisk(tmp_path), PairsData(workers=2))
    for rank in range(2):
        seen = torch.load(tmp_path / f"rank{rank}.pt")
        sampler = EpochSampler(12, seed=3)
        assert seen == [(epoch, pairs(sampler, epoch)[rank::2][:4]) for epoch in range(2)]


@pytest.mark.filterwarnings("ignore:You requested to overfit but enabled train dataloader shuffling.*")
def test_overfitting_shows_the_samples_of_epoch_0_in_every_epoch():
    seen = run(epochs=2, workers=0, overfit_batches=1)
    assert [batch for _, batch in seen] == [[(0, 0), (0, 1), (0, 2), (0, 3)]] * 2


def test_iterating_a_training_loader_leaves_the_global_stream_alone():
    torch.manual_seed(0)
    expected = torch.rand(())
    torch.manual_seed(0)
    list(PairsData(workers=0).train_dataloader())
    assert torch.rand(()) == expected


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_an_evaluation_gives_every_index_to_one_process_in_as_many_batches_each(processes, monkeypatch):
    for size, wanted in [(size, wanted) for size in range(processes, 70) for wanted in (1, 2, 8, 60)]:
        given, batches = [], set()
        for rank in range(processes):
            monkeypatch.setattr("vittasks.data.sampling.rank_and_processes", lambda rank=rank: (rank, processes))
            share = EachOnce(size)
            given += list(share)
            batches.add(-(-len(share) // share.batch_size(wanted)))
        assert sorted(given) == list(range(size))
        assert len(batches) == 1

"""Data loaders that leave the global random streams alone and start when the epoch is known."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vittasks.data.sampling import EachOnce, EpochSampler, rank_and_processes

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class EpochLoader(DataLoader[tuple[Tensor, Tensor]]):
    """A DataLoader over an ``EpochSampler`` that a Lightning run can resume exactly, between epochs and inside one.

    Its iterator starts at the first batch rather than at ``iter()``. Lightning 2.6 makes the training iterator before it
    tells the sampler the epoch, and after loading a checkpoint it uses that first iterator; a plain DataLoader with
    workers has by then asked for batches of epoch 0, so that a run resumed in epoch k trains on epoch 0 again.

    Its state is the epoch and how many of its batches were yielded. Lightning stores it in checkpoints, and a run resumed inside
    that epoch continues with the next batch.
    """

    given = 0
    resume_at = (0, 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:  # type: ignore[override]
        """Yield the batches of the epoch that the sampler has when the first batch is requested."""
        epoch, self.given = self.resume_at
        self.resume_at = (0, 0)
        # A sampler that Lightning substituted (``overfit_batches``) has no epoch to resume in.
        if not isinstance(self.sampler, EpochSampler) or self.sampler.epoch != epoch:
            self.given = 0
        else:
            self.sampler.skip = self.given * (self.batch_size or 1)
        for batch in super().__iter__():
            self.given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch and the number of its batches that were yielded."""
        return {"epoch": getattr(self.sampler, "epoch", 0), "given": self.given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Make the next iteration, if it is of the same epoch, continue where the state was taken."""
        self.resume_at = state["epoch"], state["given"]


def let_trainer_end(worker: int) -> None:
    """Make a process of a loader ignore the signals with which a scheduler asks all processes to end.

    The trainer then finishes its step and saves. SIGTERM from the trainer itself still ends the process: PyTorch sends it
    to the processes of a loader that is left in the middle of an epoch, and waits for them.
    """
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # Linux holds a blocked signal back, even one that is ignored, until a thread waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    Thread(target=_obey_trainer, daemon=True).start()


def _obey_trainer() -> None:
    """End this process at the SIGTERM of the process that started it."""
    trainer = multiprocessing.parent_process()
    while trainer is not None:
        received = signal.sigwaitinfo(ENDING_SIGNALS)
        if received.si_signo == signal.SIGTERM and received.si_pid == trainer.pid:
            os._exit(0)


def train_loader(
    dataset: Dataset[tuple[Tensor, int]],
    sampler: EpochSampler,
    batch_size: int,
    workers: int,
    collate: Callable[[list[Any]], Any] | None = None,
) -> EpochLoader:
    """Full batches in the sampler's order; a generator of its own keeps the loader out of the global stream.

    ``collate`` makes a batch of a list of samples; None stacks them.

    Raises:
        ValueError: An epoch holds less than one batch, which Lightning would silently skip.
    """
    check_batch(batch_size, len(sampler))
    return EpochLoader(
        dataset,  # type: ignore[arg-type]  # DataLoader is typed by its samples; its batches are pairs of tensors
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        drop_last=True,
        collate_fn=collate,
        worker_init_fn=let_trainer_end,
        generator=torch.Generator(),
    )


def check_batch(batch_size: int, samples: int) -> None:
    """Check that an epoch of a process holds a batch.

    Raises:
        ValueError: It does not.
    """
    if batch_size > samples:
        raise ValueError(
            f"data.batch_size must not exceed the {samples} samples that a process draws in an epoch, "
            f"got batch_size={batch_size}."
        )


def eval_loader(
    dataset: Dataset[Any],
    batch_size: int,
    workers: int,
    collate: Callable[[list[Any]], Any] | None = None,
) -> DataLoader[tuple[Tensor, ...]]:
    """All samples once, in order; its own generator keeps validation from shifting the random draws of the training.

    Several processes share the samples, and each is scored by one of them.
    """
    share = EachOnce(len(dataset)) if rank_and_processes()[1] > 1 else None  # type: ignore[arg-type]
    return DataLoader(
        dataset,
        batch_size=batch_size if share is None else share.batch_size(batch_size),
        sampler=share,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
        worker_init_fn=let_trainer_end,
        generator=torch.Generator(),
    )

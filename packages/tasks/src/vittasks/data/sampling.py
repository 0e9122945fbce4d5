"""Data order and randomness drawn from (seed, epoch, sample): the same for any number of workers and any network."""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed
from torch.utils.data import get_worker_info
from torch.utils.data.distributed import DistributedSampler


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random stream of one sample in one epoch, in whichever process and order it is drawn (about 15 microseconds).

    Args:
        seed: Seed of the run.
        epoch: Counted from 0.
        index: Index of the sample in its data set. Another triple gives an independent stream.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(epoch, index))))


@contextmanager
def global_generators(seed: int, epoch: int, index: int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch's CPU from the triple, and restore them afterwards.

    For transforms that draw from global state. Generators of other devices are left alone: a draw made for the data
    must not shift the dropout of the network. A process of a DataLoader does nothing else with these generators: there they are
    not restored, which takes 0.1 ms, a fiftieth of the time of an image.
    """
    draws = sample_generator(seed, epoch, index).integers(2**32, size=3).tolist()
    if get_worker_info() is not None:
        _seed(draws)
        yield
        return
    states = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    _seed(draws)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.default_generator.set_state(states[2])


def _seed(draws: list[int]) -> None:
    random.seed(draws[0])
    np.random.seed(draws[1])
    torch.default_generator.manual_seed(draws[2])


def epoch_and_index(item: tuple[int, int] | int) -> tuple[int, int]:
    """The pair that a sampler yields; a plain index (a sequential sampler, ``dataset[3]``) means epoch 0."""
    return (0, item) if isinstance(item, int) else item


def rank_and_processes() -> tuple[int, int]:
    """The rank of this process and the number of processes that train together; 0 and 1 before they are connected."""
    several = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if several else (0, 1)


class EpochSampler(DistributedSampler[tuple[int, int]]):
    """Yields ``(epoch, index)`` in an order drawn from (seed, epoch) alone.

    The epoch is yielded with each index, so that workers that live longer than an epoch need not be informed. ``set_epoch``
    chooses the epoch; Lightning calls it at the start of each one (see ``EpochLoader`` for when a resumed run reads it).

    Among n distributed processes, rank r takes every n-th pair starting at r. All take ``size // n``; fewer than n
    pairs of an epoch are left out and none is drawn twice. Rank and n are read from ``torch.distributed`` at
    construction, which Lightning's ``train_dataloader`` hook is late enough for. Being a ``DistributedSampler``, it is
    not wrapped in another by Lightning, whatever ``use_distributed_sampler`` says.

    Args:
        size: Samples in the data set, and pairs in one epoch over all processes.
        seed: Seed of the order.
        repeats: Repeated augmentation: each drawn sample comes ``repeats`` times in a row, on different ranks where
            there are several, and an epoch holds the first ``size`` of these. Copy c of sample i has the index
            ``i + c * size``: the data set takes it modulo ``size`` and draws from a stream of its own.

    Raises:
        ValueError: ``size`` or ``repeats`` is below 1, or ``seed`` is negative.

    Source: repeated augmentation as in E. Hoffer et al., Augment your batch, CVPR 2020, and DeiT's RASampler.
    """

    def __init__(self, size: int, seed: int, repeats: int = 1) -> None:
        if size < 1 or repeats < 1 or seed < 0:
            raise ValueError(
                "EpochSampler: size and repeats must be at least 1 and seed at least 0, "
                f"got size={size}, repeats={repeats}, seed={seed}."
            )
        rank, processes = rank_and_processes()
        super().__init__(
            range(size),  # type: ignore[arg-type]  # only its length is read
            num_replicas=processes,
            rank=rank,
            seed=seed,
            drop_last=True,
        )
        self.size, self.repeats = size, repeats
        # Pairs of this process that the next iteration leaves out at its start, for resuming inside an epoch.
        self.skip = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        copies = np.arange(self.repeats) * self.size
        indices = (self.shuffled()[:, None] + copies).reshape(-1)[: self.total_size][self.rank :: self.num_replicas]
        skip, self.skip = self.skip, 0
        return zip(itertools.repeat(self.epoch), indices[skip:].tolist(), strict=False)

    def shuffled(self) -> NDArray[np.intp]:
        """Return all indices of the data set in the order of the epoch, before copies and processes."""
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence(self.seed, spawn_key=(self.epoch,))))
        # Sorted uniforms rather than Generator.permutation: numpy keeps the former stable between its releases.
        return np.argsort(stream.random(self.size), kind="stable")


class EachOnce(DistributedSampler[int]):
    """Assigns every index of an evaluation to one process, in order: rank r of n takes r, r + n, r + 2n, ...

    torch's own sampler repeats the first indices until all ranks have equally many, and the metrics count them twice. Lightning
    replaces any sampler that is not a ``DistributedSampler`` by that one.

    Args:
        size: Samples in the data set.
    """

    def __init__(self, size: int) -> None:
        rank, processes = rank_and_processes()
        super().__init__(range(size), num_replicas=processes, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.size = size

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, self.size, self.num_replicas))

    def __len__(self) -> int:
        return len(range(self.rank, self.size, self.num_replicas))

    def batch_size(self, wanted: int) -> int:
        """The largest batch size up to ``wanted`` with which all ranks have the same number of batches, or the next above it.

        A rank that has a batch more than the others would wait forever for them in a network that exchanges anything in its
        forward pass, as DistributedDataParallel does with the statistics of BatchNorm.
        """
        least, further = divmod(self.size, self.num_replicas)
        if not further:
            return wanted
        # Ranks have ``least`` samples or one more; these are one batch more only if ``least`` fills its batches.
        return next((size for size in range(wanted, 1, -1) if least % size), least + 1)

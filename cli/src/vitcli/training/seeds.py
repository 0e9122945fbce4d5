"""Random numbers of the training that depend on (seed, epoch, step) alone, not on what was drawn before."""

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor


class StepStreams(Callback):
    """Seeds the global generators of Python, numpy, torch and the device before every training batch.

    What a network draws (dropout, drop-path) is then the same in a run that was interrupted and continued after any
    epoch, and in two arms of which only one draws. A data module that orders its samples by the global streams is
    served too: they are also seeded where each epoch's iterator is made.

    Args:
        seed: Of the run.
        epoch: The first epoch that is trained, for the iterator that Lightning makes before it says which epoch it is.
    """

    def __init__(self, seed: int, epoch: int = 0) -> None:
        self.seed, self.epoch = seed, epoch

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed for the first epoch's iterator."""
        _seed((self.seed, self.epoch), pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed for the iterators of the further epochs."""
        _seed((self.seed, trainer.current_epoch), pl_module.device)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Tensor | Any, batch_idx: int
    ) -> None:
        """Seed for the batch; each process of a distributed run draws differently."""
        _seed((self.seed, trainer.current_epoch, batch_idx, trainer.global_rank), pl_module.device)


def _seed(key: tuple[int, ...], device: torch.device) -> None:
    # The spawn key keeps (1, 0) and (1, 0, 0) apart, which as entropy are one.
    numbers = np.random.SeedSequence(key[0], spawn_key=key[1:]).generate_state(3).tolist()
    random.seed(numbers[0])
    np.random.seed(numbers[1])
    # Not torch.manual_seed: where a GPU is there but unused, that notes a stack trace at every call.
    torch.default_generator.manual_seed(numbers[2])
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(numbers[2])

"""Seeds of the training's random numbers: they depend on (seed, epoch, step) alone, not on what was drawn before."""

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor


class StepSeeds(Callback):
    """Seeds the global generators of Python, numpy, torch and the device before every training batch.

    The numbers that a network draws (dropout, drop-path) are then the same in a run that was interrupted and continued after any
    epoch, and they do not depend on how many numbers another part of the network drew. The generators are also seeded before
    each epoch's data iterator is made, for data modules that order their samples by the global generators.

    Args:
        seed: Seed of the run.
        epoch: The first epoch that is trained; Lightning makes that epoch's data iterator before it sets its epoch counter.
    """

    def __init__(self, seed: int, epoch: int = 0) -> None:
        self.seed, self.epoch = seed, epoch

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed before the first epoch's data iterator is made."""
        _seed((self.seed, self.epoch), pl_module.device)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed before the data iterator of a later epoch is made."""
        _seed((self.seed, trainer.current_epoch), pl_module.device)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Tensor | Any, batch_idx: int
    ) -> None:
        """Seed for a batch; the processes of a distributed run draw different numbers."""
        _seed((self.seed, trainer.current_epoch, batch_idx, trainer.global_rank), pl_module.device)


def _seed(key: tuple[int, ...], device: torch.device) -> None:
    # With a spawn key, (1, 0) and (1, 0, 0) give different numbers; as entropy they would give the same.
    numbers = np.random.SeedSequence(key[0], spawn_key=key[1:]).generate_state(3).tolist()
    random.seed(numbers[0])
    np.random.seed(numbers[1])
    # torch.manual_seed would record a stack trace at every call where a GPU is present but unused.
    torch.default_generator.manual_seed(numbers[2])
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(numbers[2])

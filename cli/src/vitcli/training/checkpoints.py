"""last.ckpt: where a training goes on after whatever ended it."""

import os
import pickle
import shutil
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

LAST = "last.ckpt"
DRAFT = ".last"

UNREADABLE = (
    *(OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile),  # cut short, or no archive
    NotImplementedError,  # what zipfile raises where damaged bytes name a compression that it does not know
    *(RuntimeError, ValueError, pickle.UnpicklingError),  # torch: no weights, or code that it refuses to run
    *(KeyError, TypeError, AttributeError),  # a checkpoint of other origin
)
"""What reading a file that is no whole checkpoint of ours can raise."""


class LastCheckpoint(ModelCheckpoint):
    """Saves after each epoch's validation and last training batch, over the checkpoint of the epoch before.

    The file gets its name in one step, and not before the epoch's row is logged: a run that dies at any moment leaves a
    whole checkpoint, with every row of its epochs in metrics.csv. It also holds how long the training took so far and
    the epoch's metrics.

    Args:
        directory: Where last.ckpt lies.
        earlier: Seconds that earlier tries trained.
    """

    def __init__(self, directory: str, earlier: float = 0.0) -> None:
        # Without being told so, it would save after validations only: last.ckpt would not be the last.
        super().__init__(directory, DRAFT, save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True)
        self.draft, self.path = Path(directory) / f"{DRAFT}.ckpt", Path(directory) / LAST
        self.metrics: dict[str, float] = {}
        self.earlier, self.started = earlier, time.perf_counter()

    @property
    def state_key(self) -> str:
        """The same wherever the run lies."""
        return type(self).__name__

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the checkpoint of the epoch before its name."""
        self._commit(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save."""
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        super().on_train_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the checkpoint of the last epoch its name."""
        super().on_train_end(trainer, pl_module)
        self._commit(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return what is saved of the callback."""
        seconds = self.earlier + time.perf_counter() - self.started
        return {**super().state_dict(), "seconds": seconds, "metrics": self.metrics}

    def _commit(self, trainer: Trainer) -> None:
        if trainer.is_global_zero and self.draft.exists():
            if self.draft.is_dir():  # of a strategy that writes one file a process; a folder replaces no folder
                shutil.rmtree(self.path, ignore_errors=True)
            else:
                _to_disk(self.draft)
            self.draft.replace(self.path)


@dataclass(frozen=True)
class Saved:
    """What a checkpoint says of the training so far.

    Args:
        path: Where it lies; None if it is in memory.
        epochs, steps: Done so far.
        seconds: Taken so far, over all tries; what a try did after its last checkpoint is not in it.
        metrics: Of the last epoch.
        loops: Lightning's count of epochs and batches.
    """

    path: Path | None
    epochs: int
    steps: int
    seconds: float
    metrics: dict[str, float]
    loops: dict[str, Any] = field(default_factory=dict)

    def is_complete(self, trainer: dict[str, Any]) -> bool:
        """Whether nothing is left to train with these settings of the trainer."""
        epochs, steps = trainer["max_epochs"], trainer["max_steps"]
        return (epochs is not None and 0 <= epochs <= self.epochs) or 0 <= steps <= self.steps


def read_checkpoint(path: Path) -> Saved | None:
    """Return what a checkpoint of ``LastCheckpoint`` says; None if it is not there, not whole or of other origin.

    Every byte is compared with the file's checksums, since a disk that was full or lost power leaves files of the right
    size; it is read as weights only, as Lightning reads it then.
    """
    try:
        if path.is_file():
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    return None
        content = torch.load(_index(path), map_location="meta", weights_only=True)
        said = content["callbacks"][LastCheckpoint.__name__]
        return Saved(
            path,
            epochs=content["epoch"] + 1,
            steps=content["global_step"],
            seconds=float(said["seconds"]),
            metrics={name: float(value) for name, value in said["metrics"].items()},
            loops=content["loops"]["fit_loop"],
        )
    except UNREADABLE:
        return None


def _index(path: Path) -> Path:
    """Return the file that holds all but the weights: of a checkpoint in a folder, Lightning's ``meta.pt``."""
    return path / "meta.pt" if path.is_dir() else path


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""last.ckpt: the checkpoint from which an interrupted training continues."""

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
    *(OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile),  # cut short, or not an archive
    NotImplementedError,  # zipfile, where damaged bytes name an unknown compression
    *(RuntimeError, ValueError, pickle.UnpicklingError),  # torch: not weights, or code that it refuses to run
    *(KeyError, TypeError, AttributeError),  # a checkpoint that was not written by LastCheckpoint
)
"""Exceptions of reading a file that is damaged or is not a checkpoint of ``LastCheckpoint``."""


class LastCheckpoint(ModelCheckpoint):
    """Saves after each epoch, once its validation is done, and replaces the checkpoint of the epoch before.

    The checkpoint is written under another name and renamed once the epoch's row is in metrics.csv. A run that dies at any moment
    therefore leaves a complete checkpoint and the metrics of all its epochs. The checkpoint also holds the time spent in
    training, the epoch's metrics, and the names of the classes if the data module has ``class_names``: a trained model then needs
    no data to name what it sees.

    Args:
        directory: Directory of last.ckpt.
        earlier: Seconds that earlier tries spent in training.
    """

    def __init__(self, directory: str, earlier: float = 0.0) -> None:
        # By default Lightning saves after validations only, which need not follow every epoch.
        super().__init__(directory, DRAFT, save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True)
        self.draft, self.path = Path(directory) / f"{DRAFT}.ckpt", Path(directory) / LAST
        self.metrics: dict[str, float] = {}
        self.stopped = False
        self.class_names: list[str] | None = None
        self.earlier, self.started = earlier, time.perf_counter()

    @property
    def state_key(self) -> str:
        """The key of the callback's state, which does not depend on the directory of the run."""
        return type(self).__name__

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock and note the names of the classes."""
        self.started = time.perf_counter()
        names = getattr(getattr(trainer, "datamodule", None), "class_names", None)
        self.class_names = None if names is None else [str(name) for name in names]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Rename the checkpoint of the previous epoch to last.ckpt."""
        self._commit(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the epoch's metrics, and whether a callback has ended the training, and save."""
        enough = trainer.current_epoch + 1 >= (trainer.min_epochs or 0) and trainer.global_step >= (
            trainer.min_steps or 0
        )
        self.stopped = trainer.should_stop and enough
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        super().on_train_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Rename the checkpoint of the last epoch to last.ckpt."""
        super().on_train_end(trainer, pl_module)
        self._commit(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the state that is saved in the checkpoint."""
        seconds = self.earlier + time.perf_counter() - self.started
        own = {"seconds": seconds, "metrics": self.metrics, "stopped": self.stopped, "class_names": self.class_names}
        return {**super().state_dict(), **own}

    def _commit(self, trainer: Trainer) -> None:
        if trainer.is_global_zero and self.draft.exists():
            if self.draft.is_dir():  # some strategies write a folder, and a folder cannot replace another
                shutil.rmtree(self.path, ignore_errors=True)
            else:
                _to_disk(self.draft)
            self.draft.replace(self.path)


@dataclass(frozen=True)
class Saved:
    """How far a training came, as its checkpoint records it.

    Args:
        path: The checkpoint; None if the weights are in memory.
        epochs, steps: Epochs and optimizer steps done.
        seconds: Time spent in training over all tries, without the time between a try's last checkpoint and its end.
        metrics: Metrics of the last epoch.
        loops: Lightning's counters of epochs and batches.
        stopped: Whether a callback of the configuration ended the training, such as EarlyStopping or a limit of time.
    """

    path: Path | None
    epochs: int
    steps: int
    seconds: float
    metrics: dict[str, float]
    loops: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False

    def is_complete(self, trainer: dict[str, Any]) -> bool:
        """Whether the training is complete under these settings of the trainer."""
        epochs, steps = trainer["max_epochs"], trainer["max_steps"]
        return self.stopped or (epochs is not None and 0 <= epochs <= self.epochs) or 0 <= steps <= self.steps


def read_checkpoint(path: Path) -> Saved | None:
    """Read a checkpoint of ``LastCheckpoint``; return None if it is missing, damaged or was written by something else.

    Every byte is compared with the file's checksums, since a disk that was full or lost power can leave files of the right
    size with wrong content. The file is read with ``weights_only=True``, as Lightning reads it later.
    """
    try:
        if path.is_file():
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    return None
        content = torch.load(_index(path), map_location="meta", weights_only=True)
        state = content["callbacks"][LastCheckpoint.__name__]
        return Saved(
            path,
            epochs=content["epoch"] + 1,
            steps=content["global_step"],
            seconds=float(state["seconds"]),
            metrics={name: float(value) for name, value in state["metrics"].items()},
            loops=content["loops"]["fit_loop"],
            stopped=bool(state.get("stopped")),
        )
    except UNREADABLE:
        return None


def saved_class_names(content: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the classes in the content of a checkpoint; None if it has none."""
    names = content.get("callbacks", {}).get(LastCheckpoint.__name__, {}).get("class_names")
    return tuple(names) if names else None


def _index(path: Path) -> Path:
    """Return the file that holds everything but the weights: ``meta.pt`` if Lightning wrote the checkpoint as a folder."""
    return path / "meta.pt" if path.is_dir() else path


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

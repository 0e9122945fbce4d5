"""last.ckpt: the checkpoint from which an interrupted training continues, and previous.ckpt, the one before."""

import os
import pickle
import shutil
import signal
import sys
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import CombinedLoader

from vitcli.training.epoch_sums import Sums, add_sums, sums_so_far
from vitcli.training.ranks import any_rank, is_first_rank
from vitcli.training.signals import EndedBySignal, Signals

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
DRAFT = ".last"

UNREADABLE = (
    *(OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile),  # cut short, or not an archive
    NotImplementedError,  # zipfile, where damaged bytes name an unknown compression
    *(RuntimeError, ValueError, pickle.UnpicklingError),  # torch: not weights, or code that it refuses to run
    *(KeyError, TypeError, AttributeError),  # a checkpoint that was not written by LastCheckpoint
)
"""Exceptions of reading a file that is damaged or is not a checkpoint of ``LastCheckpoint``."""


class LastCheckpoint(ModelCheckpoint):
    """Saves after each epoch, once its validation is done, and when a signal announces the end; keeps the checkpoint before it.

    The checkpoint is written under another name and renamed once the epoch's row is in metrics.csv. A run that dies at any moment
    therefore leaves a complete checkpoint and the metrics of all its epochs. The checkpoint also holds the time spent in
    training, the epoch's metrics, and the names of the classes if the data module has ``class_names``: a trained model then needs
    no data to name its predictions.

    After SIGTERM or SIGUSR1 the training ends after the current step, or after the current validation. It saves within the epoch
    if the data loaders can resume there, as those of vittasks can; otherwise the epoch is repeated.

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
        self.signals = Signals()
        self.ending = False
        self.before: Sums = {}
        self.within: Sums | None = None

    @property
    def state_key(self) -> str:
        """The key of the callback's state, which does not depend on the directory of the run."""
        return type(self).__name__

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock and note the names of the classes."""
        self.started = time.perf_counter()
        names = getattr(getattr(trainer, "datamodule", None), "class_names", None)
        self.class_names = None if names is None else [str(name) for name in names]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the data loaders resume where they were, and listen for the signals of a scheduler."""
        _load_places(trainer)
        self.signals.listen()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Rename the checkpoint of the previous epoch to last.ckpt, and end if a signal has arrived."""
        self._commit(trainer)
        if any_rank(trainer, self.signals.received):
            self._end(f"after epoch {trainer.current_epoch}")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """End if a signal has arrived in the batch before, whose row the loggers have by now."""
        if not self.ending:
            return
        for logger in trainer.loggers:
            logger.save()
        self._commit(trainer)
        self._end(f"in epoch {trainer.current_epoch}, after {batch_idx} of its batches")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch if a signal has arrived."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self.before:
            add_sums(trainer, self.before)
        told = any_rank(trainer, self.signals.received)
        if not told or trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self.ending = True
        if _can_go_on_within_an_epoch(trainer):
            self.within = sums_so_far(trainer)
            trainer.save_checkpoint(self.draft)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the epoch's metrics, and whether a callback has ended the training, and save."""
        enough = trainer.current_epoch + 1 >= (trainer.min_epochs or 0) and trainer.global_step >= (
            trainer.min_steps or 0
        )
        self.stopped = trainer.should_stop and enough
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.before.clear()
        super().on_train_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Rename the checkpoint of the last epoch to last.ckpt; after a signal, leave the test to the next try."""
        super().on_train_end(trainer, pl_module)
        self._commit(trainer)
        if any_rank(trainer, self.signals.received):
            self._end("after its last epoch, before the test")

    def state_dict(self) -> dict[str, Any]:
        """Return the state that is saved in the checkpoint."""
        seconds = self.earlier + time.perf_counter() - self.started
        own = {"seconds": seconds, "metrics": self.metrics, "stopped": self.stopped, "class_names": self.class_names}
        return {**super().state_dict(), **own, **({} if self.within is None else {"within": self.within})}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the sums of the epoch within which the checkpoint was saved."""
        super().load_state_dict(state_dict)
        self.metrics, self.before = dict(state_dict.get("metrics", {})), dict(state_dict.get("within", {}))

    def _commit(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero or not self.draft.exists():
            return
        if not self.draft.is_dir():  # some strategies write a folder
            _to_disk(self.draft)
        if self.path.exists():
            _remove(self.path.with_name(PREVIOUS))
            self.path.replace(self.path.with_name(PREVIOUS))
        self.draft.replace(self.path)

    def _end(self, when: str) -> None:
        number = self.signals.received or signal.SIGTERM  # which another process may have received
        if is_first_rank():
            rest = f"{self.path} is what it goes on from" if self.path.exists() else "there is no checkpoint yet"
            print(
                f"vitcli: {signal.Signals(number).name} ended the training {when}; {rest}.", file=sys.stderr, flush=True
            )
        raise EndedBySignal(number)


@dataclass(frozen=True)
class Saved:
    """How far a training came, as its checkpoint records it.

    Args:
        path: The checkpoint; None if the weights are in memory.
        epochs, steps: Complete epochs and optimizer steps done.
        seconds: Time spent in training over all tries, without the time between a try's last checkpoint and its end.
        metrics: Metrics of the last epoch.
        loops: Lightning's counters of epochs and batches.
        stopped: Whether a callback of the configuration ended the training, such as EarlyStopping or a limit of time.
        within: Whether the checkpoint was saved within an epoch, before its end.
    """

    path: Path | None
    epochs: int
    steps: int
    seconds: float
    metrics: dict[str, float]
    loops: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False
    within: bool = False

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
        within = "within" in state
        return Saved(
            path,
            epochs=content["epoch"] + (not within),
            steps=content["global_step"],
            seconds=float(state["seconds"]),
            metrics={name: float(value) for name, value in state["metrics"].items()},
            loops=content["loops"]["fit_loop"],
            stopped=bool(state.get("stopped")),
            within=within,
        )
    except UNREADABLE:
        return None


def newest_checkpoint(directory: Path) -> Saved | None:
    """Return the last checkpoint in a run's directory; if it is damaged or missing, the previous one, with a message."""
    last = read_checkpoint(directory / LAST)
    if last is not None:
        return last
    previous = read_checkpoint(directory / PREVIOUS)
    if previous is not None and is_first_rank():
        what = "damaged" if (directory / LAST).exists() else "missing"
        where = f"epoch {previous.epochs}" + (" and part of the next" if previous.within else "")
        print(
            f"vitcli: {directory / LAST} is {what}: the training goes on from {PREVIOUS}, after {where}.",
            file=sys.stderr,
        )
    return previous


def remove_previous(directory: Path) -> None:
    """Remove the checkpoint before the last one, once a run is done."""
    _remove(directory / PREVIOUS)


def saved_class_names(content: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the classes in the content of a checkpoint; None if it has none."""
    names = content.get("callbacks", {}).get(LastCheckpoint.__name__, {}).get("class_names")
    return tuple(names) if names else None


def _index(path: Path) -> Path:
    """Return the file that holds everything but the weights: ``meta.pt`` if Lightning wrote the checkpoint as a folder."""
    return path / "meta.pt" if path.is_dir() else path


def _can_go_on_within_an_epoch(trainer: Trainer) -> bool:
    """Whether all training loaders can resume within an epoch; from others Lightning would get the first batches again."""
    loaders = CombinedLoader(trainer.train_dataloader).flattened
    return all(hasattr(one, "state_dict") and hasattr(one, "load_state_dict") for one in loaders)


def _load_places(trainer: Trainer) -> None:
    """Set the position of the training loaders, if Lightning has not.

    Lightning does not if a task's schedule has asked for the number of steps, because the loaders are then made before the
    checkpoint is read.
    """
    loop = trainer.fit_loop
    if loop._combined_loader_states_to_load and loop._data_fetcher is not None:
        loop._load_combined_loader_states()
        iter(loop._data_fetcher)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

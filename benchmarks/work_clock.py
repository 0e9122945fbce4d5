"""The working time of a trial: its training steps with their data, its validations and its test, written next to its results."""

import json
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer


class WorkClock(Callback):
    """Writes ``work.json`` with the seconds of all batches, loading included; set-up, checkpoints and logs are excluded."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.since = 0.0

    def start(self, *_: Any) -> None:
        self.since = time.perf_counter()

    def stop(self, *_: Any) -> None:
        """Count the time since the last batch, or since the loop began: a batch and its loading."""
        now = time.perf_counter()
        self.seconds += now - self.since
        self.since = now

    on_train_epoch_start = on_validation_epoch_start = on_test_epoch_start = start
    on_train_batch_end = on_validation_batch_end = on_test_batch_end = stop

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        Path(trainer.default_root_dir, "work.json").write_text(json.dumps({"seconds": self.seconds}))

"""One trial, in a process of its own."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from vitcli.json_files import write_json
from vitcli.training import fit_and_test


class _Report(Callback):
    """Tells the runner which epoch is done."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self.tell = tell

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.tell(trainer.current_epoch + 1)


def run_trial(
    config: dict[str, Any], directory: Path, arm: str, seed: int, identity: str, tell: Callable[[int], None]
) -> dict[str, Any]:
    """Train and test one trial and write its result.json: done with metrics, or failed with the cause.

    Args:
        config: The trial's resolved configuration.
        directory: Where everything of the trial goes.
        arm: Name of the arm.
        seed: The replicate.
        identity: Hash of what the arm computes.
        tell: Called with the number of epochs done.

    Returns:
        The content of result.json.
    """
    head = {"format": 1, "arm": arm, "seed": seed, "id": identity}
    try:
        outcome: dict[str, Any] = {"status": "done", **fit_and_test(config, directory, (_Report(tell),))}
    except Exception as error:
        traceback.print_exc()
        outcome = {"status": "failed", "cause": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
    result = {**head, **outcome, "finished_at": datetime.now(UTC).isoformat(timespec="seconds")}
    if _rank() == 0:
        write_json(directory / "result.json", result)
    return result


def main(job: str, pipe: str) -> None:
    """Run a trial on several devices: the first rank here, the others by this same command line, which Lightning repeats.

    Args:
        job: A JSON file of ``run_trial``'s arguments.
        pipe: File descriptor of the pipe to the runner, for the first rank.
    """
    arguments = json.loads(Path(job).read_text(encoding="utf-8"))
    runner = Connection(int(pipe), readable=False) if _rank() == 0 else None
    tell = runner.send if runner else lambda epoch: None
    run_trial(**{**arguments, "directory": Path(arguments["directory"])}, tell=tell)


def _rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


if __name__ == "__main__":
    main(*sys.argv[1:])

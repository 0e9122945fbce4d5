"""One trial, in a process of its own."""

import traceback
from collections.abc import Callable
from datetime import UTC, datetime
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
    write_json(directory / "result.json", result)
    return result

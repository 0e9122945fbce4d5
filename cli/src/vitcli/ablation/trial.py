"""One trial, in a process of its own."""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import Callback, LightningModule, Trainer

from vitcli.ablation.state import BEGUN, cause_of, failure, now, starts
from vitcli.records.json_files import write_json
from vitcli.records.metrics import METRICS
from vitcli.records.trial import RESULT, done_result, result_end, result_head
from vitcli.training.checkpoints import LAST, Saved, read_checkpoint
from vitcli.training.metrics_file import is_whole
from vitcli.training.provenance import processor, provenance
from vitcli.training.run import fit_and_test


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

    A try of the same trial that was interrupted is continued from its last checkpoint; if there is no whole one, the
    trial begins anew.

    Args:
        config: The trial's resolved configuration.
        directory: Where everything of the trial goes.
        arm: Name of the arm.
        seed: The replicate.
        identity: Hash of what the arm computes.
        tell: Called with the number of epochs done.

    Returns:
        The content of result.json.

    Raises:
        SystemExit: result.json cannot be written; see ``how_it_ended``.
    """
    head = result_head(arm, seed, identity)
    try:
        past = _take_up(directory, head)
        found = fit_and_test(config, directory, (_Report(tell),), past)
        result = {**head, **done_result(**found), **result_end(starts(directory)[1:], now())}
    except Exception as error:
        with contextlib.suppress(OSError):  # a log that takes no more must not hide the cause
            traceback.print_exc()
            sys.stderr.flush()
        made_by = {"provenance": provenance(None, processor())}
        result = {**head, **failure(directory, cause_of(error)), **made_by}
    if _leads():
        try:
            write_json(directory / RESULT, result)
        except OSError:
            _leave_unrecorded()
    return result


def _leave_unrecorded() -> NoReturn:
    """End the process with the exit code that says that it could not write."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # else Python fails once more, at what it could not print
        os.dup2(nowhere, stream)
    raise SystemExit(os.EX_IOERR)


def _take_up(directory: Path, head: dict[str, Any]) -> Saved | None:
    """Return the checkpoint to go on from; if there is none that is whole, clear away what a dead try left."""
    past = read_checkpoint(directory / LAST)
    if past and not is_whole(directory / METRICS, past.epochs):
        print(f"{directory / METRICS} lacks epochs that {LAST} has.")
        past = None
    if not _leads():
        return past
    before = starts(directory)
    if past:
        print(f"This trial goes on after epoch {past.epochs}.")
    elif before:
        print(f"There is no whole {LAST} to go on from: this trial begins anew.")
        for left in (directory / LAST, directory / METRICS, *directory.glob("events.out.tfevents.*")):
            left.unlink(missing_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / BEGUN, {**head, "starts": [*before, past.epochs if past else 0]})
    sys.stdout.flush()
    return past


def main(job: str, pipe: str) -> None:
    """Run a trial on several devices: the first rank here, the others by this same command line, which Lightning repeats.

    Args:
        job: A JSON file of ``run_trial``'s arguments.
        pipe: File descriptor of the pipe to the runner, for the first rank.
    """
    arguments = json.loads(Path(job).read_text(encoding="utf-8"))
    runner = Connection(int(pipe), readable=False) if _leads() else None
    tell = runner.send if runner else lambda epoch: None
    run_trial(**{**arguments, "directory": Path(arguments["directory"])}, tell=tell)


def _leads() -> bool:
    """Whether this process is the first of those that train the trial together: the one that writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "NODE_RANK", "LOCAL_RANK"))


if __name__ == "__main__":
    main(*sys.argv[1:])

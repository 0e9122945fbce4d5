"""One trial: train it, test it, and write its result.json. It runs in a process of its own."""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import Callback, LightningModule, Trainer

from vitcli.ablation.planning.identity import code_of
from vitcli.ablation.state import BEGUN, CodeChangedError, cause_of, failure, now, starts
from vitcli.config.defaults import as_namespace
from vitcli.config.schema import schema
from vitcli.records.json_files import read_json, write_json
from vitcli.records.trial import RESULT, done_result, result_end, result_head
from vitcli.training.checkpoints import LAST, Saved
from vitcli.training.continuation import clear, interrupted
from vitcli.training.provenance import processor, provenance
from vitcli.training.ranks import is_first_rank
from vitcli.training.run import fit_and_test


class _Report(Callback):
    """Reports the number of epochs done to the runner."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self.tell = tell

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.tell(trainer.current_epoch + 1)


def run_trial(
    config: dict[str, Any],
    directory: Path,
    arm: str,
    seed: int,
    identity: str,
    tell: Callable[[int], None],
    code: Mapping[str, str] | None = None,
    data: str | None = None,
) -> dict[str, Any]:
    """Train and test one trial and write its result.json: done with metrics, or failed with the cause.

    If an earlier try of the same trial was interrupted, it is continued from its last checkpoint; without a complete checkpoint
    the trial starts again from the beginning.

    Args:
        config: The trial's complete configuration.
        directory: The trial's directory; all its files go there.
        arm: Name of the arm.
        seed: Seed of the trial.
        identity: Identity (hash) of the arm's configuration.
        tell: Called with the number of epochs done, after each epoch.
        code: The user's own code when the ablation was planned, see ``identity.code_of``; None if that is not to be checked.
        data: Fingerprint of the data when the ablation was planned; None if it is not known.

    Returns:
        The content of result.json.

    Raises:
        SystemExit: result.json cannot be written; see ``cause_of_exit``.
    """
    head = result_head(arm, seed, identity)
    try:
        _refuse_other_code(config, code)
        past = _start(directory, head, data)
        names = (directory.parents[1].name, arm, directory.name)
        found = fit_and_test(config, directory, (_Report(tell),), past, names)
        result = {**head, **done_result(**found), **result_end(starts(directory)[1:], now())}
    except Exception as error:
        with contextlib.suppress(OSError):  # if the log cannot be written, the cause must still be recorded
            traceback.print_exc()
            sys.stderr.flush()
        made_by = {"provenance": provenance(None, processor(), code_of(config))}
        result = {**head, **failure(directory, cause_of(error)), **made_by}
    if is_first_rank():
        try:
            write_json(directory / RESULT, result)
        except OSError:
            _exit_unrecorded()
    return result


def _refuse_other_code(config: dict[str, Any], code: Mapping[str, str] | None) -> None:
    """Stop if the user's own code was edited after the ablation was planned: the trial would count as one of the old code."""
    if code is None:
        return
    as_namespace(config, schema())  # imports the classes
    for path, found in code_of(config).items():
        if code.get(path) != found:
            raise CodeChangedError(
                f"the code of {path} was changed while the ablation ran; the same command runs all its trials with the new code"
            )


def _exit_unrecorded() -> NoReturn:
    """End the process with the exit code which says that the result could not be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # otherwise Python would fail again when it flushes them
        os.dup2(nowhere, stream)
    raise SystemExit(os.EX_IOERR)


def _start(directory: Path, head: dict[str, Any], data: str | None) -> Saved | None:
    """Record that the trial starts, and return the checkpoint to continue from.

    If there is no complete checkpoint, return None and remove what an interrupted try left.
    """
    past = interrupted(directory)
    if not is_first_rank():
        return past
    before = starts(directory)
    if past:
        print(f"This trial continues after epoch {past.epochs}.")
    elif before:
        print(f"There is no complete {LAST} to continue from: this trial starts again.")
        clear(directory)
    directory.mkdir(parents=True, exist_ok=True)
    begun = {**head, "starts": [*before, past.epochs if past else 0]}
    data = data or (read_json(directory / BEGUN) or {}).get("data")
    write_json(directory / BEGUN, {**begun, "data": data} if data else begun)
    sys.stdout.flush()
    return past


def main(job: str, pipe: str) -> None:
    """Run a trial on several devices. This process is the first rank; Lightning repeats its command line for the others.

    Args:
        job: A JSON file of ``run_trial``'s arguments.
        pipe: File descriptor of the pipe to the runner; only the first rank uses it.
    """
    arguments = json.loads(Path(job).read_text(encoding="utf-8"))
    runner = Connection(int(pipe), readable=False) if is_first_rank() else None
    tell = runner.send if runner else lambda epoch: None
    run_trial(**{**arguments, "directory": Path(arguments["directory"])}, tell=tell)


if __name__ == "__main__":
    main(*sys.argv[1:])

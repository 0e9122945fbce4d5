"""A trial's directory: whether the trial is done, what an earlier try left there, and why it failed."""

import contextlib
import errno
import os
import signal
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vitcli.ablation.planning.plan import Plan, PlannedArm
from vitcli.records.json_files import drafts, read_json, write_json
from vitcli.records.trial import RESULT, failed_result, read_result, result_end, result_head, result_status

BEGUN = "trial.json"
"""The file, written when a trial starts, that says which trial the directory belongs to and how often it was started."""
LOG = "log.txt"
SUPERSEDED = ".superseded"
"""The folder of trials whose arm has changed since they were made."""
LINES, WIDTH = 20, 400

INTERRUPTED = "interrupted: "
"""Beginning of a cause that lies in the machine and not in the trial; the same command continues such a trial."""
NOT_FINITE = "ArithmeticError: "
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Signals that come from outside the process: the kernel when memory runs out, a shutdown, a person."""
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE)
"""Errors of a disk or file system: full, over quota, read-only, or broken."""


def is_done(plan: Plan, arm: str, seed: int) -> bool:
    """Whether a trial is done, see ``records.trial.result_status``, and was made from the data as they are now."""
    place = plan.trial_directory(arm, seed)
    return result_status(read_result(place), plan.arms[arm].id)[0] == "done" and not _has_other_data(plan, arm, place)


def is_failed(plan: Plan, arm: str, seed: int) -> bool:
    """Whether a trial of exactly this configuration failed by itself; an interruption by the machine is not a failure."""
    place = plan.trial_directory(arm, seed)
    status, cause = result_status(read_result(place), plan.arms[arm].id)
    return status == "failed" and not cause.startswith(INTERRUPTED) and not _has_other_data(plan, arm, place)


def _has_other_data(plan: Plan, arm: str, place: Path) -> bool:
    """Whether the data have changed since a trial began, as far as both fingerprints are known."""
    then, now = (read_json(place / BEGUN) or {}).get("data"), plan.arms[arm].data
    return then is not None and now is not None and then != now


def missing_start(plan: Plan, arm: str, seed: int) -> str:
    """Return why the classifier that a trial starts from cannot be used, as the cause of the trial's end; empty if it can."""
    start = plan.start_of(arm, seed)
    if plan.classifiers is None or start is None or is_done(plan.classifiers, *start):
        return ""
    place = plan.classifiers.trial_directory(*start)
    why = result_status(read_result(place), plan.classifiers.arms[start[0]].id)[1]
    return f"{INTERRUPTED}the classifier in {place}, from which it starts, is not trained: {why or 'its data have changed'}"


def is_begun(plan: Plan, arm: str) -> bool:
    """Whether a trial of exactly this configuration and data of an arm has begun, by which the arm is known to train."""
    places = [plan.trial_directory(arm, seed) for seed in plan.seeds_of(arm)]
    same = [place for place in places if not _has_other_data(plan, arm, place)]
    records = (read_json(place / name) or {} for place in same for name in (BEGUN, RESULT))
    return any(record.get("id") == plan.arms[arm].id for record in records)


def what_changed(plan: Plan, trials: Iterable[tuple[str, int]]) -> list[str]:
    """Return sentences about the trials that run again because the user's own code or the data have changed."""
    changed: dict[str, list[str]] = {}
    for arm, seed in trials:
        place = plan.trial_directory(arm, seed)
        result = read_result(place)
        if result is not None and _has_other_data(plan, arm, place):
            changed.setdefault("The data have", []).append(arm)
        elif result is not None and (paths := _other_code(plan.arms[arm], result)):
            changed.setdefault(f"The code of {', '.join(paths)} has", []).append(arm)
    return [_run_again(what, arms, plan.directory / SUPERSEDED) for what, arms in changed.items()]


def _other_code(arm: PlannedArm, result: dict[str, Any]) -> list[str]:
    then = (result.get("provenance") or {}).get("code") or {}
    return [path for path, now in arm.code.items() if path in then and then[path] != now]


def _run_again(what: str, arms: list[str], aside: Path) -> str:
    count = f"{len(arms)} trial{'' if len(arms) == 1 else 's'} of {', '.join(dict.fromkeys(arms))}"
    return f"{what} changed since {count} ended: they run again, and their old directories are moved to {aside}."


def make_room(plan: Plan, arm: str, seed: int) -> None:
    """Prepare a trial's directory. The files of an earlier try of the same trial stay, since the trial continues from them.

    The directory is moved to ``.superseded`` if another configuration, other code or other data made it, or if the training
    diverged and would diverge again. Nothing in it is deleted.
    """
    place = plan.trial_directory(arm, seed)
    if not place.exists() or not any(place.iterdir()):
        return
    begun, result = read_json(place / BEGUN) or {}, read_json(place / RESULT) or {}
    same = begun.get("id") == plan.arms[arm].id and not _has_other_data(plan, arm, place)
    if same and not str(result.get("cause", "")).startswith(NOT_FINITE):
        # The trial is about to run: a result that stayed would be taken for the result of the new try.
        for left in (place / RESULT, *drafts(place / RESULT), *drafts(place / BEGUN)):
            left.unlink(missing_ok=True)
        return
    number = 1
    while (aside := plan.directory / SUPERSEDED / arm / f"seed{seed}.{number}").exists():
        number += 1
    aside.parent.mkdir(parents=True, exist_ok=True)
    place.rename(aside)


def record_end(plan: Plan, arm: str, seed: int, cause: str) -> dict[str, Any]:
    """Return the result that a trial wrote; if it wrote none, record that it failed with ``cause``."""
    path = plan.trial_directory(arm, seed) / RESULT
    result: dict[str, Any] | None = read_json(path)
    if result is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        result = {**result_head(arm, seed, plan.arms[arm].id), **failure(path.parent, cause)}
        write_json(path, result)
    return result


def failure(directory: Path, cause: str) -> dict[str, Any]:
    """Return the record of a failed trial: the cause, the epochs done at each continuation, and the last lines of the log."""
    return {**failed_result(cause), **result_end(starts(directory)[1:], now(), last_lines(directory / LOG))}


def starts(directory: Path) -> list[int]:
    """Return how many epochs were done at each start of a trial; the first number is 0."""
    epochs = (read_json(directory / BEGUN) or {}).get("starts")
    return epochs if isinstance(epochs, list) else []


def last_lines(path: Path) -> list[str]:
    """Return the last lines of a log; of a line that a progress bar redraws, only the last state is kept."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LINES * WIDTH * 4))
        lines = file.read().decode("utf-8", errors="replace").split("\n")
        shown = [line.rstrip("\r").rpartition("\r")[2][:WIDTH] for line in lines]
        return [line for line in shown if line.strip()][-LINES:]
    return []


class CodeChangedError(RuntimeError):
    """The user's own code is not what it was when the ablation was planned."""


def cause_of(error: BaseException) -> str:
    """Return the cause that is recorded for an exception."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    if isinstance(error, CodeChangedError):
        return f"{INTERRUPTED}{error}"
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.errno in MACHINE:
            return INTERRUPTED + text
        below = below.__cause__ or below.__context__
    return text


def cause_of_exit(exit_code: int) -> str:
    """Return the cause that is recorded for a process that wrote no result; a negative code is a signal's number."""
    if exit_code == os.EX_IOERR:
        return INTERRUPTED + "the process could not write its result"
    if exit_code - 128 in FROM_OUTSIDE:  # see vitcli.training.signals
        return f"{INTERRUPTED}{signal.Signals(exit_code - 128).name} ended the training"
    if exit_code >= 0:
        return f"the process ended with exit code {exit_code}; see log.txt"
    text = f"the process was ended by signal {-exit_code} ({signal.strsignal(-exit_code)}); see log.txt"
    return INTERRUPTED + text if -exit_code in FROM_OUTSIDE else text


def now() -> str:
    """Return the current time as it is recorded."""
    return datetime.now(UTC).isoformat(timespec="seconds")

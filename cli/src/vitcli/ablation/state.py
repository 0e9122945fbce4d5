"""What lies in a trial's directory, and what is to be done about it."""

import contextlib
import errno
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vitcli.ablation.planned import Plan
from vitcli.records.json_files import drafts, read_json, write_json
from vitcli.records.trial import (
    RESULT,
    failed_result,
    read_result,
    result_end,
    result_head,
    result_status,
)

BEGUN = "trial.json"
"""Whose directory it is and how often the trial was started: there from a trial's first second on."""
LOG = "log.txt"
LINES, WIDTH = 20, 400

INTERRUPTED = "interrupted: "
"""How a cause begins that lies in the machine, not in the trial: the same command takes the trial up again."""
NOT_FINITE = "ArithmeticError: "
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that a process does not bring on itself: the kernel short of memory, a shutdown, a person."""
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE)


def is_done(plan: Plan, arm: str, seed: int) -> bool:
    """Whether a trial is done; see ``records.trial.result_status``."""
    return result_status(read_result(plan.trial_directory(arm, seed)), plan.arms[arm].id)[0] == "done"


def is_failed(plan: Plan, arm: str, seed: int) -> bool:
    """Whether this very configuration failed of itself; a trial that the machine interrupted did not."""
    status, cause = result_status(read_result(plan.trial_directory(arm, seed)), plan.arms[arm].id)
    return status == "failed" and not cause.startswith(INTERRUPTED)


def make_room(plan: Plan, arm: str, seed: int) -> None:
    """Prepare a trial's place: what an earlier try of the same trial left stays, for it goes on from there.

    What another configuration left, and a training that diverged and would do so again, is moved out of the way; nothing
    of theirs is deleted.
    """
    place = plan.trial_directory(arm, seed)
    if not place.exists() or not any(place.iterdir()):
        return
    begun, result = read_json(place / BEGUN) or {}, read_json(place / RESULT) or {}
    if begun.get("id") == plan.arms[arm].id and not str(result.get("cause", "")).startswith(NOT_FINITE):
        # From here on the trial is under way: a result that stayed would speak of another try.
        for left in (place / RESULT, *drafts(place / RESULT), *drafts(place / BEGUN)):
            left.unlink(missing_ok=True)
        return
    number = 1
    while (aside := plan.directory / ".superseded" / arm / f"seed{seed}.{number}").exists():
        number += 1
    aside.parent.mkdir(parents=True, exist_ok=True)
    place.rename(aside)


def record_end(plan: Plan, arm: str, seed: int, cause: str) -> dict[str, Any]:
    """Return the result that a trial left; if it left none, write that it failed of ``cause``."""
    path = plan.trial_directory(arm, seed) / RESULT
    result: dict[str, Any] | None = read_json(path)
    if result is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        result = {**result_head(arm, seed, plan.arms[arm].id), **failure(path.parent, cause)}
        write_json(path, result)
    return result


def failure(directory: Path, cause: str) -> dict[str, Any]:
    """Return what is recorded of a trial that failed: the cause, the epochs before each of its further starts, the log's end."""
    return {**failed_result(cause), **result_end(starts(directory)[1:], now(), last_lines(directory / LOG))}


def starts(directory: Path) -> list[int]:
    """Return how many epochs were done at each start of a trial: first 0, then what there was to go on from."""
    epochs = (read_json(directory / BEGUN) or {}).get("starts")
    return epochs if isinstance(epochs, list) else []


def last_lines(path: Path) -> list[str]:
    """Return the last lines of a log; a progress bar's redrawn line counts as it stood last."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LINES * WIDTH * 4))
        lines = file.read().decode("utf-8", errors="replace").split("\n")
        said = [line.rstrip("\r").rpartition("\r")[2][:WIDTH] for line in lines]
        return [line for line in said if line.strip()][-LINES:]
    return []


def cause_of(error: BaseException) -> str:
    """Return what is recorded as the cause of an exception."""
    told = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.errno in MACHINE:
            return INTERRUPTED + told
        below = below.__cause__ or below.__context__
    return told


def how_it_ended(exit_code: int) -> str:
    """Return the cause that is recorded for a process that left no result; a negative code is a signal's number."""
    if exit_code == os.EX_IOERR:
        return INTERRUPTED + "the process could not write its result"
    if exit_code >= 0:
        return f"the process ended with exit code {exit_code}; see log.txt"
    said = f"the process was ended by signal {-exit_code} ({signal.strsignal(-exit_code)}); see log.txt"
    return INTERRUPTED + said if -exit_code in FROM_OUTSIDE else said


def now() -> str:
    """Return the time, for a record."""
    return datetime.now(UTC).isoformat(timespec="seconds")

"""One trial on a machine that the runner does not watch: a process of its own that reports through files in its directory.

This module is light. The scheduler's process imports it; only the trial's own process imports torch.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vitcli.ablation.state import LOG, cause_of_exit
from vitcli.records.json_files import read_json, write_json
from vitcli.training.ranks import OUTER_RANKS

JOB = "job.json"
"""The file with the arguments of a trial's process. It is there as soon as a machine has begun the trial."""

SHIELDED = {signal.SIGTERM, signal.SIGUSR2}
"""Signals that a scheduler sends to all processes before it takes the machine back. The trial ignores them: where a job is queued
again, ``let_save`` asks it to save; otherwise it trains on until it is killed, with whole checkpoints at any time."""


RUNNING: list[int] = []
"""The trial's process that this one waits for."""


class LostError(RuntimeError):
    """A signal ended the trial's process, for example because the machine ran out of memory."""


def run_remote(job: dict[str, Any], folder: str, environment: Mapping[str, str]) -> str:
    """Run a trial to its end, in a process that ends with this one; its output goes to log.txt in its directory.

    Args:
        job: The arguments of ``run_trial``, without ``tell``.
        folder: The working directory.
        environment: Variables that the trial's process gets in addition to those of this process.

    Returns:
        How the process ended.

    Raises:
        LostError: A signal ended it.
    """
    directory = Path(job["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    node = int(environment.get("NODE_RANK", "0"))
    log_file = directory / (f"{node}.{LOG}" if node else LOG)
    arguments = directory / (f"{node}.{JOB}" if node else JOB)
    write_json(arguments, job)
    # Lightning itself starts the ranks of a trial.
    inherited = {name: value for name, value in os.environ.items() if name not in OUTER_RANKS}
    with log_file.open("ab") as log, _shielded():
        process = subprocess.Popen(
            [sys.executable, "-m", "vitcli.ablation.launch.remote", str(arguments)],
            cwd=folder,
            env={**inherited, "OMP_NUM_THREADS": str(job["config"]["threads"]), **environment},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    RUNNING.append(process.pid)
    try:
        code = process.wait()
    finally:
        RUNNING.remove(process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    if code < 0:
        raise LostError(cause_of_exit(code))
    return cause_of_exit(code)


def let_save(seconds: float) -> None:
    """Ask the trial that runs here to save within its epoch and end, and wait at most so long for it.

    For the handler of a scheduler's signal: what it interrupts waits for the trial too, and takes note of its end later.
    """
    until = time.monotonic() + seconds
    for process in RUNNING:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.killpg(process, signal.SIGUSR1)
            while (
                os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and time.monotonic() < until
            ):
                time.sleep(0.1)


def hand_over(directory: Path) -> None:
    """Forget that an earlier machine began the trial, before it is handed to the next one."""
    (directory / JOB).unlink(missing_ok=True)


def is_taken_up(directory: Path) -> bool:
    """Whether a machine has begun the trial since it was handed over."""
    look_again(directory)
    return (directory / JOB).exists()


def epochs_done(directory: Path) -> int:
    """Return the number of epochs that a trial has reported as done."""
    return int((read_json(directory / "epoch.json") or {}).get("done", 0))


def look_again(directory: Path) -> None:
    """List a directory, so that a network file system shows the files that another machine wrote and forgets their absence."""
    with contextlib.suppress(OSError):
        os.listdir(directory)


def main(arguments: str) -> None:
    """Run a trial in this process; on several devices, Lightning repeats this command line for each.

    Args:
        arguments: A JSON file of ``run_trial``'s arguments.
    """
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    job = read_json(Path(arguments)) or {}
    directory = Path(job["directory"])
    from vitcli.ablation.trial import run_trial

    def tell(done: int) -> None:
        write_json(directory / "epoch.json", {"done": done})

    run_trial(**{**job, "directory": directory}, tell=tell)


@contextlib.contextmanager
def _shielded() -> Iterator[None]:
    """Keep the shielded signals from processes started inside: a process blocks what its parent's thread blocked at its start."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SHIELDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_the_parent() -> None:
    """End this process's group when the parent ends, which holds the other end of the standard input open until then."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])

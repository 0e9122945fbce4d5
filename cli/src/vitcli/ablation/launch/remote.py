"""One trial on a machine that the runner does not watch: a process of its own, which reports through files of the trial.

This module is light: the scheduler's process imports it, and only the trial's process imports torch.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vitcli.ablation.state import LOG, cause_of_exit
from vitcli.records.json_files import read_json, write_json

JOB = "job.json"
"""What a trial's process is started with: there from its beginning on."""

SHIELDED = {signal.SIGTERM, signal.SIGUSR2}
"""What a scheduler sends before it takes the machine back: the trial trains on until then, its checkpoints being whole."""

OUTER_RANKS = {f"SLURM_{name}" for name in ("NTASKS", "NTASKS_PER_NODE", "PROCID", "LOCALID", "NODEID")}
"""What would make Lightning wait for ranks that srun starts; a trial's ranks are started by Lightning itself."""


class LostError(RuntimeError):
    """A signal ended the trial's process: the kernel for want of memory, or somebody."""


def run_remote(job: dict[str, Any], folder: str, environment: Mapping[str, str]) -> str:
    """Run a trial to its end, in a process that ends with this one; its output goes to log.txt in its directory.

    Args:
        job: The arguments of ``run_trial``, without ``tell``.
        folder: The working directory.
        environment: Variables of the trial's process beside this one's.

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
    try:
        code = process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    if code < 0:
        raise LostError(cause_of_exit(code))
    return cause_of_exit(code)


def hand_over(directory: Path) -> None:
    """Forget that a machine has taken a trial up, before it is given to the next."""
    (directory / JOB).unlink(missing_ok=True)


def is_taken_up(directory: Path) -> bool:
    """Whether a machine has begun with a trial since it was handed over."""
    look_again(directory)
    return (directory / JOB).exists()


def epochs_done(directory: Path) -> int:
    """Return the number of epochs that a trial has told to be done."""
    return int((read_json(directory / "epoch.json") or {}).get("done", 0))


def look_again(directory: Path) -> None:
    """Have this machine see what another one wrote: a network's file system may remember that a file was not there."""
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
    """Keep the shielded signals from what is started within: a process blocks what the thread that started it blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SHIELDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_the_parent() -> None:
    """Wait until nobody holds the other end of the standard input, which the parent does as long as it lives."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])

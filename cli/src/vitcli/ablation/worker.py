"""Processes forked from a server that has imported everything once: a trial starts in a tenth of a second.

This module is light: the runner imports it, its functions run in the forked processes.
"""

import contextlib
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitcli.ablation.planned import device_count
from vitcli.ablation.state import LOG
from vitcli.config.command_line import Arguments
from vitcli.config.errors import ConfigError
from vitcli.records.json_files import write_json

if TYPE_CHECKING:
    from vitcli.ablation.planned import Plan

PRELOAD = ["vitcli.ablation.preload"]

ALIVE = ".alive"
"""The file in an ablation's directory that each trial of this machine holds a share of, as long as it lives."""


class Worker:
    """A function running in a process of its own, with one pipe for what it tells.

    The process leads a group, so that what it starts (loaders, further ranks) ends with it.
    """

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        self.connection, theirs = multiprocessing.Pipe(duplex=False)
        self.process = _context().Process(target=_alive_with_the_runner, args=(function, theirs, *arguments))
        self.process.start()
        theirs.close()

    def receive(self) -> Any:
        """Return the next thing the process tells; EOFError when it has ended."""
        return self.connection.recv()

    def stop(self) -> None:
        """End the process and what it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def start_server() -> None:
    """Start importing: call it first, so that the imports run while other things are done."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = _context()
    context.set_forkserver_preload(PRELOAD)
    from multiprocessing import forkserver

    # A signal that is ignored here is ignored there too: Ctrl-C is the runner's business.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)


def plan_in_worker(arguments: Arguments) -> "Plan":
    """Make the plan in a forked process, so that the runner itself stays small.

    Raises:
        ConfigError: The input is bad.
    """
    worker = Worker(_plan, arguments)
    try:
        answer = worker.receive()
    except EOFError:
        worker.process.join()
        raise RuntimeError(f"The process that plans ended with exit code {worker.process.exitcode}.") from None
    finally:
        worker.stop()
    if isinstance(answer, ConfigError):
        raise answer
    plan: Plan = answer
    return plan


def _plan(connection: Connection, arguments: Arguments) -> None:
    from vitcli.ablation.plan import make_plan

    try:
        connection.send(make_plan(arguments))
    except ConfigError as error:
        connection.send(error)


def trial(connection: Connection, job: dict[str, Any], gpus: tuple[int, ...]) -> None:
    """Run one trial; its output is added to log.txt in its directory."""
    directory = Path(job["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(os.open(directory.parents[1] / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), fcntl.LOCK_SH)
    settle(gpus, directory / LOG)
    if device_count(job["config"]["trainer"]) > 1:
        # Lightning starts the other ranks by this process's command line: it must lead to the trial, not to the ablation.
        write_json(directory / "job.json", job)
        command = [sys.executable, "-m", "vitcli.ablation.trial", str(directory / "job.json"), str(connection.fileno())]
        code = subprocess.call(command, pass_fds=(connection.fileno(),))
        if code < 0:
            signal.raise_signal(-code)  # so that the runner sees what ended it
        sys.exit(code)
    from vitcli.ablation.trial import run_trial

    run_trial(**{**job, "directory": directory}, tell=connection.send)


def settle(gpus: tuple[int, ...], log: Path) -> None:
    """Show this process its GPUs alone, and have it add all that it says to a file."""
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible(gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(stream, 1)
    os.dup2(stream, 2)


def visible(gpus: tuple[int, ...], allowed: str | None) -> str:
    """Return CUDA_VISIBLE_DEVICES for a trial's GPUs, which are counted among those that the runner may use."""
    names = [name.strip() for name in allowed.split(",")] if allowed else None
    return ",".join(names[gpu] if names else str(gpu) for gpu in gpus)


def _alive_with_the_runner(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a group of its own, away from the terminal's signals, until the runner is gone."""
    os.setsid()
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    function(*arguments)


def _end_with_the_runner() -> None:
    runner = multiprocessing.parent_process()
    if runner is not None:
        runner.join()
        os.killpg(0, signal.SIGKILL)


def _context() -> Any:
    return multiprocessing.get_context("forkserver")

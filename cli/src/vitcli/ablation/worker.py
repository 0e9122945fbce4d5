"""Processes forked from a server that has imported everything once: a trial starts in a tenth of a second.

This module is light: the runner imports it, its functions run in the forked processes.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitcli.arguments import Arguments
from vitcli.errors import ConfigError

if TYPE_CHECKING:
    from vitcli.ablation.planned import Plan

# sklearn.datasets holds the digits: a second to import, in every trial otherwise.
PRELOAD = ["vitcli.ablation.plan", "vitcli.ablation.trial", "vitmodels", "vittasks", "sklearn.datasets", "tensorboard"]


class Worker:
    """A function running in a process of its own, with one pipe for what it tells."""

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        self.connection, theirs = multiprocessing.Pipe(duplex=False)
        self.process = _context().Process(target=function, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()

    def receive(self) -> Any:
        """Return the next thing the process tells; EOFError when it has ended."""
        return self.connection.recv()

    def stop(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()


def start_server() -> None:
    """Start importing: call it first, so that the imports run while other things are done."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = _context()
    context.set_forkserver_preload(PRELOAD)
    from multiprocessing import forkserver

    forkserver.ensure_running()


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
    worker.process.join()
    if isinstance(answer, ConfigError):
        raise answer
    plan: Plan = answer
    return plan


def _plan(connection: Connection, arguments: Arguments) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from vitcli.ablation.plan import make_plan

    try:
        connection.send(make_plan(arguments))
    except ConfigError as error:
        connection.send(error)


def trial(connection: Connection, job: dict[str, Any], gpu: int | None) -> None:
    """Run one trial; its output goes to log.txt in its directory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(gpu)
    directory = Path(job["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    log = os.open(directory / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    from vitcli.ablation.trial import run_trial

    run_trial(**{**job, "directory": directory}, tell=connection.send)


def _context() -> Any:
    return multiprocessing.get_context("forkserver")

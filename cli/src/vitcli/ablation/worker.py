"""Processes forked from a server that has imported everything once, so that a trial starts in less than a second.

The runner imports this module, so it must not import torch; its functions run in the forked processes.
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
from typing import TYPE_CHECKING, Any, Literal

from vitcli.ablation.planning.plan import device_count
from vitcli.ablation.state import LOG, is_begun
from vitcli.config.command_line import Arguments, Planning
from vitcli.config.errors import ConfigError
from vitcli.records.json_files import write_json

if TYPE_CHECKING:
    from vitcli.ablation.planning.plan import Plan

PRELOAD = ["vitcli.ablation.preload"]

RUNNER = "VITCLI_RUNNER"
"""The variable that tells the server the runner's process, with which it ends; see ``vitcli.ablation.preload``."""

ASKING = (signal.SIGTERM, signal.SIGUSR1)
"""Signals by which a scheduler asks processes to end."""

PRELOADED = "VITCLI_PRELOAD"
"""The variable that tells the server what to import."""

ALIVE = ".alive"
"""A file in the ablation's directory: each trial of this machine holds a shared lock on it as long as it lives."""


class Worker:
    """A function that runs in a process of its own and sends messages through a pipe.

    The process leads a process group, so that the processes that it starts (data loaders, further ranks) end with it.
    """

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        self.connection, theirs = multiprocessing.Pipe(duplex=False)
        self.process = _context().Process(target=_run_until_the_runner_ends, args=(function, theirs, *arguments))
        self.process.start()
        theirs.close()

    def receive(self) -> Any:
        """Return the next message of the process.

        Raises:
            EOFError: The process has ended.
        """
        return self.connection.recv()

    def ask_to_end(self) -> None:
        """Send the process and those that it started SIGTERM, after which a training saves and ends."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def stop(self) -> None:
        """Kill the process and the processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def start_server(work: Literal["planning", "training"] = "training") -> None:
    """Start the server and its imports; called early, so that the imports run while the runner does other things.

    Args:
        work: What the processes will do; to plan they need less.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = _context()
    context.set_forkserver_preload(PRELOAD)
    from multiprocessing import forkserver

    # The server inherits ignored signals: only the runner handles them, and the server must outlive its processes.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *ASKING)}
    given = {RUNNER: str(os.getpid()), PRELOADED: work}
    os.environ.update(given)
    try:
        forkserver.ensure_running()
    finally:
        for name in given:
            del os.environ[name]
        for number, handler in handlers.items():
            signal.signal(number, handler)


def plan_in_worker(arguments: Arguments, planning: Planning, tell: Callable[[str], object] = str) -> "Plan":
    """Make the plan in a forked process, so that the runner itself need not import torch.

    Args:
        arguments: Files and overrides.
        planning: Whether the chosen arms of which no trial has begun are rehearsed; see ``checks.rehearsal``.
        tell: Called with what is being done.

    Raises:
        ConfigError: The input is bad, or an arm cannot be trained or tested.
    """
    worker, rehearsing = Worker(_plan, arguments, planning), ""
    try:
        while isinstance(answer := worker.receive(), str):
            rehearsing = answer
            tell(f"rehearsing {rehearsing} ...")
    except EOFError:
        worker.process.join()
        raise _died(rehearsing, worker.process.exitcode) from None
    finally:
        worker.stop()
    if isinstance(answer, ConfigError):
        raise answer
    plan: Plan = answer
    return plan


def _died(rehearsing: str, exit_code: int) -> Exception:
    """Return the error for a process that ended while it planned, or while it rehearsed an arm."""
    if not rehearsing:
        return RuntimeError(f"The process that plans ended with exit code {exit_code}.")
    how = f"signal {-exit_code} ({signal.strsignal(-exit_code)})" if exit_code < 0 else f"exit code {exit_code}"
    return ConfigError(
        f"{rehearsing}: the process ended with {how} in a rehearsal of one batch; --quick plans without rehearsals."
    )


def _plan(connection: Connection, arguments: Arguments, planning: Planning) -> None:
    from vitcli.ablation.planning.checks.data import with_fingerprints
    from vitcli.ablation.planning.checks.rehearsal import rehearse
    from vitcli.ablation.planning.make_plan import make_plan

    try:
        plan = make_plan(arguments)
        if planning == "rehearsed":
            _silence()
            plan = with_fingerprints(plan)
            for each in filter(None, (plan.classifiers, plan)):
                rehearse(each, [arm for arm in each.spec.chosen if not is_begun(each, arm)], connection.send)
        connection.send(plan)
    except ConfigError as error:
        connection.send(error)


def _silence() -> None:
    """Discard what this process prints; a trial prints it again, into its log."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def trial(connection: Connection, job: dict[str, Any], gpus: tuple[int, ...]) -> None:
    """Run one trial; its output is appended to log.txt in its directory."""
    directory = Path(job["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # the file system has no locks
        fcntl.flock(os.open(directory.parents[1] / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), fcntl.LOCK_SH)
    set_gpus_and_log(gpus, directory / LOG)
    if device_count(job["config"]["trainer"]) > 1:
        # Lightning starts the other ranks with this process's command line, which therefore must run the trial.
        write_json(directory / "job.json", job)
        for number in ASKING:  # the ranks answer; this process waits for them
            signal.signal(number, lambda *_: None)
        command = [sys.executable, "-m", "vitcli.ablation.trial", str(directory / "job.json"), str(connection.fileno())]
        code = subprocess.call(command, pass_fds=(connection.fileno(),))
        if code < 0:
            signal.raise_signal(-code)  # so that the runner sees the signal that ended the process
        sys.exit(code)
    from vitcli.ablation.trial import run_trial

    run_trial(**{**job, "directory": directory}, tell=connection.send)


def set_gpus_and_log(gpus: tuple[int, ...], log: Path) -> None:
    """Make only the given GPUs visible to this process, and append its output to a file."""
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_devices(gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(stream, 1)
    os.dup2(stream, 2)


def visible_devices(gpus: tuple[int, ...], allowed: str | None) -> str:
    """Return CUDA_VISIBLE_DEVICES for a trial.

    Args:
        gpus: The trial's GPUs, as indices into the GPUs that the runner may use.
        allowed: The runner's own CUDA_VISIBLE_DEVICES; None if it is not set.
    """
    names = [name.strip() for name in allowed.split(",")] if allowed else None
    return ",".join(names[gpu] if names else str(gpu) for gpu in gpus)


def _run_until_the_runner_ends(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a session of its own, out of reach of the terminal's signals; kill it when the runner ends."""
    os.setsid()
    for number in ASKING:  # which the server ignores
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    function(*arguments)


def _end_with_the_runner() -> None:
    runner = multiprocessing.parent_process()
    if runner is not None:
        runner.join()
        os.killpg(0, signal.SIGKILL)


def _context() -> Any:
    return multiprocessing.get_context("forkserver")

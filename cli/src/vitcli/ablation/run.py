"""Running an ablation: the trials that are not done yet, several at a time; then the report."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from vitcli.ablation.arms_speed import is_measured, measure_arms
from vitcli.ablation.launch.launcher import Epoch, Key, Launcher, make_launcher
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.ablation.planned import Plan
from vitcli.ablation.progress import Progress
from vitcli.ablation.race import stopped_arms
from vitcli.ablation.state import MACHINE, is_done, is_failed, make_room, record_end
from vitcli.ablation.worker import ALIVE, plan_in_worker, start_server
from vitcli.config.command_line import Arguments
from vitcli.config.errors import ConfigError, nearest
from vitcli.records.json_files import write_json
from vitcli.training.provenance import packages, processor

ABLATION = "ablation.json"
INTERRUPTED = 130
REFUSED = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR)
LAST_WORDS = 30.0
"""Seconds that the processes of a runner that was killed have to end: they do so at once, unless the machine hangs."""


def run_ablation(arguments: Arguments, command: str) -> int:
    """Plan, run what is not done, and report.

    Args:
        arguments: Files and overrides.
        command: What the user typed, for the record.

    Returns:
        Exit code: 0 if every trial is done, 1 if one failed, 130 after Ctrl-C.

    Raises:
        ConfigError: The input is bad, and nothing has been written; or the directory takes nothing more.
    """
    console = Console()
    start_server()
    with console.status("importing and planning ..."):
        plan = plan_in_worker(arguments)
    # Seed by seed, so that what is done at any time is paired; the costly arms first, so that no long trial is left over alone.
    arms = sorted(plan.spec.chosen, key=lambda arm: -plan.arms[arm].macs)
    trials = [(arm, seed) for seed in range(plan.spec.seeds) for arm in arms]
    threads = next(iter(plan.arms.values())).config["threads"]
    launcher = make_launcher(plan)
    with _alone(plan.directory), _written_in(plan.directory):
        done = [key for key in trials if is_done(plan, *key)]
        kept = [] if "failed" in plan.spec.retry else [key for key in trials if is_failed(plan, *key)]
        settled = {*done, *kept}
        dropped = stopped_arms(plan)
        todo = [(arm, seed) for arm, seed in trials if (arm, seed) not in settled and arm not in dropped]
        written = record(plan, command, min(launcher.places, max(1, len(todo))), threads)
        write_json(plan.directory / ABLATION, {**written, "dropped": dropped})
        if done:
            console.print(f"{len(done)} of {len(trials)} trials are done already and are skipped.", highlight=False)
        if kept:
            said = f"{len(kept)} of {len(trials)} trials failed earlier and are kept; --retry failed runs them again."
            console.print(said, highlight=False, soft_wrap=True)
        failed, interrupted = _run_trials(plan, todo, done, kept, launcher, console)
        dropped = stopped_arms(plan)
        write_json(plan.directory / ABLATION, {**written, "dropped": dropped})
        if not interrupted and isinstance(launcher, LocalLauncher):
            _measure_speed(plan, console)
        _report(plan.directory, console)
    if interrupted:
        left = sum(not is_done(plan, *key) and key[0] not in dropped for key in todo)
        console.print(
            f"Stopped. What is done is kept; the same command runs the {left} trials that are left.", highlight=False
        )
        return INTERRUPTED
    return 1 if failed or kept else 0


def record(plan: Plan, command: str, workers: int, threads: int) -> dict[str, Any]:
    """Return the content of ablation.json."""
    spec = plan.spec
    return {
        "format": 1,
        "name": plan.name,
        "question": plan.question,
        "source": spec.source,
        "baseline": spec.baseline,
        "metric": {"name": spec.metric.name, "direction": spec.metric.direction},
        "seeds": list(range(spec.seeds)),
        "command": command,
        "versions": packages(),
        "machine": {"cpu": processor(), "cores": len(os.sched_getaffinity(0)), "threads": threads, "workers": workers},
        "arms": {
            name: {"id": arm.id, "difference": arm.difference, "parameters": arm.parameters, "macs": arm.macs}
            for name, arm in plan.arms.items()
        },
        "levels": plan.levels,
        "budget": plan.budget,
    }


def _run_trials(
    plan: Plan, todo: list[Key], done: list[Key], kept: list[Key], launcher: Launcher, console: Console
) -> tuple[int, bool]:
    """Run trials until none is left or Ctrl-C; return how many failed and whether it was interrupted."""
    waiting, running, failed = list(todo), set[Key](), 0
    epochs = {arm: plan.budget["epochs"].get(arm, 1) for arm in plan.spec.chosen}
    with Progress(console, epochs, plan.spec.seeds, launcher.places) as progress:
        for state, keys in (("done", done), ("failed", kept)):
            for key in keys:
                progress.skip(*key, state)
        try:
            while waiting or running:
                while waiting and len(running) < launcher.places:
                    key = waiting.pop(0)
                    job = _job(plan, *key)
                    if not launcher.adopt(job):
                        make_room(plan, *key)
                        launcher.start(job)
                    running.add(key)
                    progress.start(*key)
                for key, event in launcher.wait(1):
                    if isinstance(event, Epoch):
                        progress.advance(*key, event.done)
                    else:
                        running.remove(key)
                        failed += _finish(plan, *key, event.cause, progress)
                        _drop_stopped(plan, waiting, running, launcher, progress)
        except KeyboardInterrupt:
            return failed, True
        finally:
            launcher.stop()
    return failed, False


def _drop_stopped(plan: Plan, waiting: list[Key], running: set[Key], launcher: Launcher, progress: Progress) -> None:
    """Take the trials of arms that are out of the race from those that wait, here or with the launcher; what trains goes on."""
    for arm, why in stopped_arms(plan).items():
        given_up = {key for key in waiting if key[0] == arm} | launcher.withdraw(
            [key for key in running if key[0] == arm]
        )
        if given_up:
            progress.say(f"{arm}: {why}")
        for key in given_up:
            progress.skip(*key, "dropped")
        waiting[:] = [key for key in waiting if key not in given_up]
        running -= given_up


def _job(plan: Plan, arm: str, seed: int) -> dict[str, Any]:
    return {
        "config": plan.trial_config(arm, seed),
        "directory": str(plan.trial_directory(arm, seed)),
        "arm": arm,
        "seed": seed,
        "identity": plan.arms[arm].id,
    }


def _finish(plan: Plan, arm: str, seed: int, cause: str, progress: Progress) -> int:
    """Show how a trial ended; return 1 if it failed."""
    result = record_end(plan, arm, seed, cause)
    if result["status"] == "failed":
        progress.finish(arm, seed, "failed", f"failed: {result['cause']}")
        return 1
    name, metrics = plan.spec.metric.name, result["metrics"]
    value = metrics.get(name)
    score = f"there is no metric {name}{nearest(name, metrics)}" if value is None else f"{name} {value:.4f}"
    progress.finish(arm, seed, "done", score)
    return 0


def _measure_speed(plan: Plan, console: Console) -> None:
    """Measure the arms side by side, now that the machine is idle, unless that was done before."""
    if is_measured(plan):
        return
    with console.status("measuring speed and memory of the arms ..."):
        problem = measure_arms(plan)
    if problem:
        console.print(f"The arms' speed was not measured: {problem}.", highlight=False, soft_wrap=True)


def _report(directory: Path, console: Console) -> None:
    from vitcli.records.load import load
    from vitcli.report import ReportError, summarise, to_terminal, write, write_summary_view

    try:
        with console.status("writing the report ..."):
            path = write(directory)
            write_summary_view(directory)
        console.print(to_terminal(summarise(load(directory))))
    except ReportError as error:
        raise ConfigError(str(error)) from error
    console.print(f"Report: {path}", highlight=False, soft_wrap=True)
    console.print(f"Dashboard: vitcli dashboard {directory}", highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Make the directory and hold its lock: two runners in one directory would write over each other."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{directory}: the directory cannot be made ({error.strerror}); use --runs DIR.") from error
    with contextlib.ExitStack() as locks:
        try:
            lock = locks.enter_context((directory / ".lock").open("w"))
            alive = locks.enter_context((directory / ALIVE).open("w"))
        except OSError as error:
            raise ConfigError(
                f"{directory}: the directory cannot be written ({error.strerror}); use --runs DIR."
            ) from error
        if not _locked(lock.fileno(), 0):
            raise ConfigError(f"{directory}: another vitcli runs this ablation now; wait for it or use --runs DIR.")
        # Its trials hold the second lock: they outlive a runner that is killed by a moment, and write until then.
        if not _locked(alive.fileno(), LAST_WORDS):
            raise ConfigError(
                f"{directory}: trials of a vitcli that has ended are still running; end their processes or use --runs DIR."
            )
        fcntl.flock(alive, fcntl.LOCK_UN)
        yield


def _locked(file: int, seconds: float) -> bool:
    """Whether a lock could be had within so many seconds."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True


@contextlib.contextmanager
def _written_in(directory: Path) -> Iterator[None]:
    """Say in a sentence that the directory takes nothing more; what is recorded there stays as it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in (*MACHINE, *REFUSED):
            raise
        raise ConfigError(
            f"{directory}: stopped, since nothing more can be written there ({error.strerror}); "
            "once it can, the same command goes on."
        ) from error

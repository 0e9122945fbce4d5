"""Running an ablation: the trials that are not done yet, several at a time; then the report."""

import contextlib
import fcntl
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from vitcli.ablation.launch.launcher import Epoch, Key, Launcher
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.ablation.planned import Plan
from vitcli.ablation.progress import Progress
from vitcli.ablation.state import is_done, make_room, record_end
from vitcli.ablation.worker import plan_in_worker, start_server
from vitcli.arguments import Arguments
from vitcli.errors import ConfigError, nearest
from vitcli.json_files import write_json

INTERRUPTED = 130
PACKAGES = ("torch", "lightning", "timm", "torchmetrics", "jsonargparse", "vitcore", "vitmodels", "vittasks", "vitcli")


def run_ablation(arguments: Arguments, command: str) -> int:
    """Plan, run what is not done, and report.

    Args:
        arguments: Files and overrides.
        command: What the user typed, for the record.

    Returns:
        Exit code: 0 if every trial is done, 1 if one failed, 130 after Ctrl-C.

    Raises:
        ConfigError: The input is bad; nothing has been written.
    """
    console = Console()
    start_server()
    with console.status("importing and planning ..."):
        plan = plan_in_worker(arguments)
    trials = [(arm, seed) for seed in range(plan.spec.seeds) for arm in plan.spec.chosen]
    threads = next(iter(plan.arms.values())).config["threads"]
    with _alone(plan.directory):
        done = [key for key in trials if is_done(plan, *key)]
        todo = [key for key in trials if key not in done]
        at_once = len(plan.places) if plan.gpus else len(os.sched_getaffinity(0)) // threads
        workers = max(1, min(plan.spec.workers or at_once, len(todo)))
        write_json(plan.directory / "ablation.json", record(plan, command, workers, threads))
        launcher = LocalLauncher(workers, plan.places)
        if done:
            console.print(f"{len(done)} of {len(trials)} trials are done already and are skipped.", highlight=False)
        failed, interrupted = _run_trials(plan, todo, done, launcher, console)
        _report(plan.directory, console)
    if interrupted:
        left = len(todo) - sum(is_done(plan, *key) for key in todo)
        console.print(
            f"Stopped. What is done is kept; the same command runs the {left} trials that are left.", highlight=False
        )
        return INTERRUPTED
    return 1 if failed else 0


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
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": {"cpu": _processor(), "cores": len(os.sched_getaffinity(0)), "threads": threads, "workers": workers},
        "arms": {
            name: {"id": arm.id, "difference": arm.difference, "parameters": arm.parameters, "macs": arm.macs}
            for name, arm in plan.arms.items()
        },
    }


def _run_trials(plan: Plan, todo: list[Key], done: list[Key], launcher: Launcher, console: Console) -> tuple[int, bool]:
    """Run trials until none is left or Ctrl-C; return how many failed and whether it was interrupted."""
    waiting, running, failed = list(todo), set[Key](), 0
    epochs = next(iter(plan.arms.values())).config["trainer"]["max_epochs"] or 1
    with Progress(console, plan.spec.chosen, plan.spec.seeds, epochs, launcher.places) as progress:
        for key in done:
            progress.skip(*key)
        try:
            while waiting or running:
                while waiting and len(running) < launcher.places:
                    key = waiting.pop(0)
                    make_room(plan, *key)
                    launcher.start(_job(plan, *key))
                    running.add(key)
                    progress.start(*key)
                for key, event in launcher.wait(1):
                    if isinstance(event, Epoch):
                        progress.advance(*key, event.done)
                    else:
                        running.remove(key)
                        failed += _finish(plan, *key, event.cause, progress)
        except KeyboardInterrupt:
            return failed, True
        finally:
            launcher.stop()
    return failed, False


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


def _report(directory: Path, console: Console) -> None:
    from vitcli.report import ReportError, load, summarise, to_terminal, write, write_summary_view

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
    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"{directory}: another vitcli runs this ablation now; wait for it or use --runs DIR."
            ) from error
        yield


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or sys.platform

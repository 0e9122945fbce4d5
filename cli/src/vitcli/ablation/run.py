"""Running an ablation: the trials that are not done yet, several at a time; then the report."""

import contextlib
import fcntl
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import connection as pipes
from pathlib import Path
from typing import Any

from rich.console import Console

from vitcli.ablation.planned import Plan
from vitcli.ablation.progress import Progress
from vitcli.ablation.worker import Worker, plan_in_worker, start_server, trial
from vitcli.arguments import Arguments
from vitcli.errors import ConfigError, nearest
from vitcli.json_files import read_json, write_json

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
        if done:
            console.print(f"{len(done)} of {len(trials)} trials are done already and are skipped.", highlight=False)
        failed, interrupted = _run_trials(plan, todo, done, workers, console)
        _report(plan.directory, console)
    if interrupted:
        left = len(todo) - sum(is_done(plan, *key) for key in todo)
        console.print(
            f"Stopped. What is done is kept; the same command runs the {left} trials that are left.", highlight=False
        )
        return INTERRUPTED
    return 1 if failed else 0


def is_done(plan: Plan, arm: str, seed: int) -> bool:
    """Whether a trial's result.json says that it is done and belongs to this very configuration."""
    result = read_json(plan.trial_directory(arm, seed) / "result.json") or {}
    return result.get("status") == "done" and result.get("id") == plan.arms[arm].id


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


def _run_trials(
    plan: Plan, todo: list[tuple[str, int]], done: list[tuple[str, int]], workers: int, console: Console
) -> tuple[int, bool]:
    """Run trials until none is left or Ctrl-C; return how many failed and whether it was interrupted."""
    waiting, running, failed = list(todo), dict[tuple[str, int], tuple[Worker, tuple[int, ...]]](), 0
    epochs = next(iter(plan.arms.values())).config["trainer"]["max_epochs"] or 1
    with Progress(console, plan.spec.chosen, plan.spec.seeds, epochs, workers) as progress:
        for key in done:
            progress.skip(*key)
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    key = waiting.pop(0)
                    gpus = min(plan.places, key=lambda place: sum(used == place for _, used in running.values()))
                    _make_room(plan, *key)
                    running[key] = (Worker(trial, _job(plan, *key), gpus), gpus)
                    progress.start(*key)
                listening = {worker.connection: key for key, (worker, _) in running.items()}
                for pipe in pipes.wait(list(listening), timeout=1):
                    key = listening[pipe]  # type: ignore[index]
                    try:
                        progress.advance(*key, running[key][0].receive())
                    except EOFError:
                        worker, _ = running.pop(key)
                        worker.process.join()
                        failed += _finish(plan, *key, worker.process.exitcode, progress)
        except KeyboardInterrupt:
            return failed, True
        finally:
            for worker, _ in running.values():
                worker.stop()
    return failed, False


def _job(plan: Plan, arm: str, seed: int) -> dict[str, Any]:
    return {
        "config": plan.trial_config(arm, seed),
        "directory": str(plan.trial_directory(arm, seed)),
        "arm": arm,
        "seed": seed,
        "identity": plan.arms[arm].id,
    }


def _finish(plan: Plan, arm: str, seed: int, exit_code: int, progress: Progress) -> int:
    """Show how a trial ended; return 1 if it failed."""
    path = plan.trial_directory(arm, seed) / "result.json"
    result = read_json(path)
    if result is None:
        cause = f"the process ended with {f'signal {-exit_code}' if exit_code < 0 else f'exit code {exit_code}'}; see log.txt"
        head = {"format": 1, "arm": arm, "seed": seed, "id": plan.arms[arm].id}
        result = {
            **head,
            "status": "failed",
            "cause": cause,
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
    if result["status"] == "failed":
        progress.finish(arm, seed, "failed", f"failed: {result['cause']}")
        return 1
    name = plan.spec.metric.name
    value = result["metrics"].get(name)
    score = f"there is no metric {name}{nearest(name, result['metrics'])}" if value is None else f"{name} {value:.4f}"
    progress.finish(arm, seed, "done", score)
    return 0


def _make_room(plan: Plan, arm: str, seed: int) -> None:
    """Move what an earlier configuration or an unfinished try left in a trial's place out of the way; nothing is deleted."""
    place = plan.trial_directory(arm, seed)
    if not place.exists() or not any(place.iterdir()):
        return
    number = 1
    while (aside := plan.directory / ".superseded" / arm / f"seed{seed}.{number}").exists():
        number += 1
    aside.parent.mkdir(parents=True, exist_ok=True)
    place.rename(aside)


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

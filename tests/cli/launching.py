"""Jobs for tests that drive a launcher by hand, and functions that wait for their ends."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.tiny_ablation import ABLATION, PLAIN, write
from vitcli.ablation.launch.launcher import Ended, Epoch, Key, Launcher, make_launcher
from vitcli.ablation.planning.plan import Plan, PlannedArm
from vitcli.ablation.planning.spec import AblationSpec

IDLE: dict[str, Any] = {"threads": 1, "trainer": {"devices": 1, "num_nodes": 1, "accelerator": "cpu"}}
"""The entries of a configuration that launchers read; nothing can be trained with it."""


def idle_job(
    directory: Path, arm: str = "plain", seed: int = 0, identity: str = "one", **trainer: Any
) -> dict[str, Any]:
    """Return a job that is handed over but cannot train."""
    config = {**IDLE, "trainer": IDLE["trainer"] | trainer}
    place = str(directory / arm / f"seed{seed}")
    return {"config": config, "directory": place, "arm": arm, "seed": seed, "identity": identity}


def idle_plan(directory: Path, gpus: int = 0, workers: int = 0) -> Plan:
    """Return the plan of an ablation that cannot train, in a directory."""
    spec = AblationSpec("plain", {"plain": {}}, workers=workers)
    return Plan(directory.name, directory, "", spec, {"plain": PlannedArm(IDLE, "one", {}, 0, 0)}, gpus)


def job_of(plan: Plan, arm: str, seed: int) -> dict[str, Any]:
    """Return the job of a planned trial, as the runner makes it."""
    directory = str(plan.trial_directory(arm, seed))
    config = plan.trial_config(arm, seed)
    return {"config": config, "directory": directory, "arm": arm, "seed": seed, "identity": plan.arms[arm].id}


def tiny_plan(folder: Path) -> Plan:
    """Return the plan of two arms; what a test runs of them it runs in a directory of its own."""
    from vitcli.ablation.planning.make_plan import make_plan  # imports torch, which not every test needs
    from vitcli.config.command_line import parse_arguments

    return make_plan(parse_arguments(["--config", write(folder / "arms.yaml", PLAIN, ablation=ABLATION)]))


def until(happened: Callable[[], object], seconds: float = 300) -> None:
    """Wait until a condition is true."""
    last = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < last
        time.sleep(0.02)


def ends(launcher: Launcher, trials: int, seconds: float = 400) -> tuple[dict[Key, str], dict[Key, list[int]]]:
    """Wait until so many trials have ended; return their causes and the epochs that were reported."""
    causes: dict[Key, str] = {}
    epochs: dict[Key, list[int]] = {}
    last = time.monotonic() + seconds
    while len(causes) < trials:
        assert time.monotonic() < last, (causes, epochs)
        for key, event in launcher.wait(1):
            if isinstance(event, Epoch):
                epochs.setdefault(key, []).append(event.done)
            elif isinstance(event, Ended):
                assert key not in causes
                causes[key] = event.cause
    return causes, epochs


def longer(job: dict[str, Any], epochs: int, **trainer: Any) -> dict[str, Any]:
    """Return the job with more epochs, without what follows every one of them."""
    changes = {"max_epochs": epochs, "limit_train_batches": 1, "limit_val_batches": 0, **trainer}
    return {**job, "config": job["config"] | {"trainer": job["config"]["trainer"] | changes}}


def trial_process(place: Path) -> int:
    """Return the process that trains in a directory."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"vitcli.ablation.launch.remote" in words and str(place / "job.json").encode() in words:
                return int(folder.name)
    raise LookupError(place)


def launched_by(plan: Plan, class_path: str, **options: Any) -> Plan:
    """Return the plan with another launcher."""
    launcher = {"class_path": class_path, "init_args": options}
    return dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, launcher=launcher))


def main(launcher: str, file: str, directory: str) -> None:
    """Run one trial that would take hours, for tests that kill the runner."""
    from vitcli.ablation.planning.make_plan import make_plan  # imports torch, which not every test needs
    from vitcli.config.command_line import parse_arguments

    plan = dataclasses.replace(make_plan(parse_arguments(["--config", file])), directory=Path(directory))
    chosen = make_launcher(launched_by(plan, launcher))
    chosen.start(longer(job_of(plan, "plain", 0), 100_000))
    ends(chosen, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])

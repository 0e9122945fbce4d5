"""Running an ablation: train the trials that are not done, several at a time, then write the report."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.text import Text

from vitcli.ablation.arms_speed import is_measured, measure_arms
from vitcli.ablation.asked_to_end import AskedToEnd, listening
from vitcli.ablation.first_look import look_at_section
from vitcli.ablation.launch.launcher import Epoch, Key, Launcher, make_launcher
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.ablation.planned import Plan
from vitcli.ablation.progress import Progress
from vitcli.ablation.race import Race, race_so_far
from vitcli.ablation.run_directory import directory_lock, explain_write_errors
from vitcli.ablation.state import is_done, is_failed, make_room, now, record_end, what_changed
from vitcli.ablation.worker import plan_in_worker, start_server
from vitcli.config.command_line import Arguments, Planning
from vitcli.config.errors import ConfigError, nearest
from vitcli.console import Output
from vitcli.records.ablation import ABLATION, Ablation, Metric, load, record_report, save
from vitcli.records.arm import Arm
from vitcli.records.conditions import Budget
from vitcli.records.json_files import RecordError
from vitcli.records.reports import read_reports
from vitcli.training.provenance import packages, processor
from vitcli.training.ranks import forget_allocation

INTERRUPTED = 130
SECONDS_TO_SAVE = 25.0
"""Time that trials have to save after SIGTERM: most schedulers kill 30 seconds after it."""


@dataclass(frozen=True)
class Work:
    """The chosen trials, by what is to be done about them.

    Args:
        done: Trials that are done already.
        failed: Trials that failed earlier and are not repeated.
        dropped: Other trials of arms that need no further seeds.
        to_run: Trials to run, in this order.
    """

    done: list[Key]
    failed: list[Key]
    dropped: list[Key]
    to_run: list[Key]


@dataclass(frozen=True)
class Outcome:
    """How a run of trials ended.

    Args:
        failed: Number of trials that failed.
        waiting: Trials that were not started.
        interrupted: The exit code if Ctrl-C or a signal ended it, else 0.
    """

    failed: int
    waiting: list[Key]
    interrupted: int = 0


def run_ablation(arguments: Arguments, command: str, planning: Planning) -> int:
    """Plan, run the trials that are not done, and write the report.

    Args:
        arguments: Files and overrides.
        command: The command that the user typed, for the record.
        planning: Whether arms of which no trial has begun are rehearsed.

    Returns:
        Exit code: 0 if every trial is done, 1 if one failed, 130 after Ctrl-C, 143 after SIGTERM, 138 after SIGUSR1.

    Raises:
        ConfigError: The input is bad, and nothing has been written; or the directory has become unwritable.
    """
    console = Output()
    look_at_section(arguments)
    forget_allocation()
    start_server()
    with console.status("importing and planning ...") as status:
        plan = plan_in_worker(arguments, planning, lambda text: status.update(Text(text)))
    trials = _in_order(plan)
    launcher = make_launcher(plan)
    with directory_lock(plan.directory), explain_write_errors(plan.directory):
        race = race_so_far(plan)
        work = _sort(plan, trials, race)
        record = ablation_record(plan, command, min(launcher.places, max(1, len(work.to_run))))
        _save(record, race)
        _announce(work, len(trials), console)
        for sentence in what_changed(plan, work.to_run):
            console.print(sentence, soft_wrap=True)
        outcome = _run_trials(plan, work, launcher, console)
        race = race_so_far(plan)
        _save(record, race)
        if not outcome.interrupted and isinstance(launcher, LocalLauncher):
            _measure_speed(plan, console)
        _report(plan.directory, console)
    if outcome.interrupted:
        left = sum(not is_done(plan, *key) and key[0] not in race.stopped for key in work.to_run)
        console.print(
            f"Stopped. Finished trials are kept; the same command runs the {left} trials that are left.",
            highlight=False,
            soft_wrap=True,
        )
        return outcome.interrupted
    if outcome.waiting:
        others = ", ".join(arm for arm in plan.arms if arm not in plan.spec.chosen)
        console.print(
            f"{len(outcome.waiting)} trials wait for a look, which needs trials of arms that were not run: {others}.",
            highlight=False,
            soft_wrap=True,
        )
    return 1 if outcome.failed or work.failed else 0


def _in_order(plan: Plan) -> list[Key]:
    """Return the chosen trials seed by seed, so that finished trials are paired; arms that cost most come first.

    With the costly arms first, no long trial remains alone at the end.
    """
    arms = sorted(plan.spec.chosen, key=lambda arm: -plan.arms[arm].macs)
    most = max(len(plan.seeds_of(arm)) for arm in arms)
    return [(arm, seed) for seed in range(most) for arm in arms if seed in plan.seeds_of(arm)]


def _sort(plan: Plan, trials: list[Key], race: Race) -> Work:
    done = [key for key in trials if is_done(plan, *key)]
    failed = [] if "failed" in plan.spec.retry else [key for key in trials if is_failed(plan, *key)]
    others = [key for key in trials if key not in {*done, *failed}]
    dropped = [key for key in others if key[0] in race.stopped]
    return Work(done, failed, dropped, [key for key in others if key[0] not in race.stopped])


def _save(record: Ablation, race: Race) -> None:
    """Save the record with the arms that are stopped, and with the reports that are in the file."""
    save(replace(record, dropped=race.stopped, reports=read_reports(record.directory / ABLATION)))


def _announce(work: Work, trials: int, console: Output) -> None:
    """Print how many trials are not run again, and why."""
    if work.done:
        console.print(f"{len(work.done)} of {trials} trials are done already and are skipped.", highlight=False)
    if work.failed:
        console.print(
            f"{len(work.failed)} of {trials} trials failed earlier and are kept; --retry failed runs them again.",
            highlight=False,
            soft_wrap=True,
        )


def ablation_record(plan: Plan, command: str, workers: int) -> Ablation:
    """Return what ablation.json says of a plan, without the arms that are stopped and without reports."""
    spec = plan.spec
    threads = next(iter(plan.arms.values())).config["threads"]
    return Ablation(
        directory=plan.directory,
        name=plan.name,
        question=plan.question,
        source=spec.source,
        baseline=spec.baseline,
        metric=Metric(spec.metric.name, spec.metric.direction),
        seeds=tuple(range(spec.seeds.arms)),
        baseline_seeds=() if spec.seeds.baseline == spec.seeds.arms else tuple(range(spec.seeds.baseline)),
        pairing=spec.pairing,
        margin=spec.margin,
        looks=tuple(spec.looks),
        command=command,
        versions=packages(),
        machine={"cpu": processor(), "cores": len(os.sched_getaffinity(0)), "threads": threads, "workers": workers},
        arms=tuple(
            Arm(
                name,
                arm.id,
                {key: (pair[0], pair[1]) for key, pair in arm.difference.items()},
                arm.parameters,
                arm.macs,
                label=plan.spec.labels.get(name, ""),
            )
            for name, arm in plan.arms.items()
        ),
        levels=plan.levels,
        budget=Budget(**plan.budget),
    )


def _run_trials(plan: Plan, work: Work, launcher: Launcher, console: Output) -> Outcome:
    """Run trials until none is left that may run, or Ctrl-C."""
    waiting, running, failed = list(work.to_run), set[Key](), 0
    epochs = {arm: plan.budget["epochs"].get(arm, 1) for arm in plan.spec.chosen}
    seeds = {arm: len(plan.seeds_of(arm)) for arm in plan.spec.chosen}
    race = race_so_far(plan)
    with Progress(console, epochs, seeds, launcher.places) as progress, listening(launcher):
        for state, keys in (("done", work.done), ("failed", work.failed), ("dropped", work.dropped)):
            for key in keys:
                progress.skip(*key, state)
        try:
            while running or _next(waiting, race):
                while len(running) < launcher.places and (ready := _next(waiting, race)):
                    waiting.remove(ready)
                    job = _job(plan, *ready)
                    if not launcher.adopt(job):
                        make_room(plan, *ready)
                        launcher.start(job)
                    running.add(ready)
                    progress.start(*ready)
                for key, event in launcher.wait(1):
                    if isinstance(event, Epoch):
                        progress.advance(*key, event.done)
                    else:
                        running.remove(key)
                        failed += _finish(plan, *key, event.cause, progress)
                        race = race_so_far(plan)
                        _drop_stopped(race, waiting, running, launcher, progress)
        except AskedToEnd as asked:
            progress.say(f"{asked}: the trials that run save and end.")
            asked.launcher.ask_to_end(SECONDS_TO_SAVE)
            return Outcome(failed, waiting, asked.exit_code)
        except KeyboardInterrupt:
            return Outcome(failed, waiting, INTERRUPTED)
        finally:
            launcher.stop()
    return Outcome(failed, waiting)


def _next(waiting: Iterable[Key], race: Race) -> Key | None:
    """Return the first trial that may run now; the others wait for a look."""
    return next((key for key in waiting if race.allows(*key)), None)


def _drop_stopped(race: Race, waiting: list[Key], running: set[Key], launcher: Launcher, progress: Progress) -> None:
    """Remove the waiting trials of stopped arms, both here and from the launcher's queue; trials that train go on."""
    for arm, why in race.stopped.items():
        queued = {key for key in waiting if key[0] == arm}
        removed = queued | launcher.withdraw([key for key in running if key[0] == arm])
        if removed:
            progress.say(f"{arm}: {why}")
        for key in removed:
            progress.skip(*key, "dropped")
        waiting[:] = [key for key in waiting if key not in removed]
        running -= removed


def _job(plan: Plan, arm: str, seed: int) -> dict[str, Any]:
    return {
        "config": plan.trial_config(arm, seed),
        "directory": str(plan.trial_directory(arm, seed)),
        "arm": arm,
        "seed": seed,
        "identity": plan.arms[arm].id,
        "code": dict(plan.arms[arm].code),
        "data": plan.arms[arm].data,
    }


def _finish(plan: Plan, arm: str, seed: int, cause: str, progress: Progress) -> int:
    """Record and show how a trial ended; return 1 if it failed, else 0."""
    result = record_end(plan, arm, seed, cause)
    if result["status"] == "failed":
        progress.finish(arm, seed, "failed", f"failed: {result['cause']}")
        return 1
    name, metrics = plan.spec.metric.name, result["metrics"]
    value = metrics.get(name)
    score = f"there is no metric {name}{nearest(name, metrics)}" if value is None else f"{name} {value:.4f}"
    progress.finish(arm, seed, "done", score)
    return 0


def _measure_speed(plan: Plan, console: Output) -> None:
    """Measure the arms side by side while the machine is idle, unless all have been measured."""
    if is_measured(plan):
        return
    with console.status("measuring speed and memory of the arms ..."):
        problem = measure_arms(plan)
    if problem:
        console.print(f"Speed: {problem}.", highlight=False, soft_wrap=True)


def _report(directory: Path, console: Output) -> None:
    """Write the report and the TensorBoard view, and print the table; the results are read once."""
    from vitcli.report import summarise, to_terminal, write_figures, write_pages, write_summary_view

    try:
        with console.status("writing the report ..."):
            ablation = record_report(load(directory), now())
            summary = summarise(ablation)
            path = write_pages(ablation, summary, write_figures(ablation, summary))
            write_summary_view(ablation, summary)
        console.print(to_terminal(summary))
    except RecordError as error:
        raise ConfigError(str(error)) from error
    console.print(f"Report: {path}", highlight=False, soft_wrap=True)
    console.print(f"Dashboard: vitcli dashboard {directory}", highlight=False, soft_wrap=True)

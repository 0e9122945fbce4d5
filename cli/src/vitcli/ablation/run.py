"""Running an ablation: train the trials that are not done, several at a time, then write the report."""

import os
from dataclasses import replace
from pathlib import Path

from rich.text import Text

from vitcli.ablation.arms_speed import is_measured, measure_arms
from vitcli.ablation.launch.launcher import Key, make_launcher
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.ablation.planning.first_look import look_at_section
from vitcli.ablation.planning.plan import Plan
from vitcli.ablation.race import Race, race_so_far
from vitcli.ablation.run_directory import directory_lock, explain_write_errors
from vitcli.ablation.state import is_done, now, what_changed
from vitcli.ablation.train_classifiers import train_classifiers
from vitcli.ablation.trials import Work, run_trials, sort_trials
from vitcli.ablation.worker import plan_in_worker, start_server
from vitcli.config.command_line import Arguments, Planning
from vitcli.config.errors import ConfigError
from vitcli.console import Output
from vitcli.records.ablation import ABLATION, Ablation, Metric, load, record_report, save
from vitcli.records.arm import Arm
from vitcli.records.conditions import Budget
from vitcli.records.json_files import RecordError
from vitcli.records.reports import read_reports
from vitcli.training.provenance import packages, processor
from vitcli.training.ranks import forget_allocation


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
        work = sort_trials(plan, trials, race)
        record = ablation_record(plan, command, min(launcher.places, max(1, len(work.to_run))))
        _save(record, race)
        _announce(work, len(trials), console)
        for sentence in what_changed(plan, work.to_run):
            console.print(sentence, soft_wrap=True)
        outcome = train_classifiers(plan, work.to_run, console)
        if not outcome.interrupted:
            outcome = run_trials(plan, work, launcher, console)
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

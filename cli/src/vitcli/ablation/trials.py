"""Running trials: which of them are done, and training the others, several at a time, until none is left."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vitcli.ablation.launch.launcher import Epoch, Key, Launcher
from vitcli.ablation.planning.plan import Plan
from vitcli.ablation.progress import Progress
from vitcli.ablation.race import Race, race_so_far
from vitcli.ablation.runner_signals import AskedToEnd, listening
from vitcli.ablation.state import is_done, is_failed, make_room, missing_start, record_end
from vitcli.config.errors import nearest
from vitcli.console import Output

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


def sort_trials(plan: Plan, trials: list[Key], race: Race) -> Work:
    """Return trials by what is to be done about them."""
    done = [key for key in trials if is_done(plan, *key)]
    failed = [] if "failed" in plan.spec.retry else [key for key in trials if is_failed(plan, *key)]
    others = [key for key in trials if key not in {*done, *failed}]
    dropped = [key for key in others if key[0] in race.stopped]
    return Work(done, failed, dropped, [key for key in others if key[0] not in race.stopped])


def run_trials(plan: Plan, work: Work, launcher: Launcher, console: Output) -> Outcome:
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
                    if cause := missing_start(plan, *ready):
                        make_room(plan, *ready)
                        progress.start(*ready)
                        failed += _finish(plan, *ready, cause, progress)
                        continue
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

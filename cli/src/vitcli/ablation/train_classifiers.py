"""Training the classifiers that trials start from, before the first trial: those that are not trained yet."""

from collections.abc import Iterable
from dataclasses import replace

from vitcli.ablation.launch.launcher import Key, make_launcher
from vitcli.ablation.planning.plan import Plan
from vitcli.ablation.race import race_so_far
from vitcli.ablation.run_directory import directory_lock, explain_write_errors
from vitcli.ablation.state import is_done
from vitcli.ablation.trials import Outcome, run_trials, sort_trials
from vitcli.console import Output


def starts_of(plan: Plan, trials: Iterable[Key]) -> list[Key]:
    """Return the classifiers that trials start from, each once."""
    return list(dict.fromkeys(start for key in trials if (start := plan.start_of(*key)) is not None))


def train_classifiers(plan: Plan, trials: Iterable[Key], console: Output) -> Outcome:
    """Train the classifiers that trials start from and that are not trained yet. Another runner that does so is waited for.

    Args:
        plan: The ablation.
        trials: The trials that are to run.
        console: What to print to.

    Raises:
        ConfigError: The directory of the classifiers cannot be written.
    """
    classifiers, needed = plan.classifiers, starts_of(plan, trials)
    if classifiers is None or all(is_done(classifiers, *start) for start in needed):
        return Outcome(0, [])

    def tell_waiting() -> None:
        text = f"Another vitcli trains classifiers in {classifiers.directory}; this one waits for it."
        console.print(text, highlight=False, soft_wrap=True)

    with directory_lock(classifiers.directory, tell_waiting), explain_write_errors(classifiers.directory):
        work = sort_trials(classifiers, needed, race_so_far(classifiers))
        every = [(name, seed) for name in classifiers.arms for seed in classifiers.seeds_of(name)]
        work = replace(work, dropped=[key for key in every if key not in needed])
        count = f"{len(work.to_run)} of the {len(needed)} classifiers that trials start from"
        console.print(f"Pretraining: {count}, in {classifiers.directory}.", highlight=False, soft_wrap=True)
        return run_trials(classifiers, work, make_launcher(classifiers), console)

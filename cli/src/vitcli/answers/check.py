"""Repeating single trials of kept answers.

On a machine of the same kind the score is equal to the last digit; elsewhere it lies in the prediction interval of a new seed.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from vitcli.ablation.planning.make_plan import make_plan
from vitcli.answers.answer import Answer
from vitcli.config.command_line import parse_arguments
from vitcli.training.run import fit_and_test

CHECKED = 3
"""Answers of which a trial is repeated, if none is named."""

OUTSIDE = 0.01
"""Chance that a new seed lies outside of the prediction interval."""


@dataclass(frozen=True)
class Check:
    """A repeated trial beside the kept one.

    Args:
        trial: ``ARM/seedN``.
        then, now: The main metric.
        interval: Where one new seed of the arm lies with a probability of 99 %.
        same_machine: Whether processor, threads and versions are those of the kept trial.
    """

    trial: str
    then: float
    now: float
    interval: tuple[float, float]
    same_machine: bool

    @property
    def holds(self) -> bool:
        """Equal to the last digit on the same kind of machine, elsewhere within the interval."""
        return self.now == self.then if self.same_machine else self.interval[0] <= self.now <= self.interval[1]


def to_check(answers: Mapping[str, Answer]) -> list[str]:
    """Return the first answers that hold for their files as they are now and whose baselines differ from each other."""
    chosen: dict[str, str] = {}  # identity of the baseline -> name
    for name, answer in answers.items():
        baseline = answer.record["arms"][answer.record["baseline"]]["id"]
        if len(chosen) < CHECKED and baseline not in chosen and not answer.changed_arms():
            chosen[baseline] = name
    return list(chosen.values())


def repeat(answer: Answer) -> Check:
    """Train and test the first seed of the baseline again, and before it the classifier that it starts from, if any."""
    plan = make_plan(parse_arguments(["--config", str(answer.file)]))
    arm, metric = plan.spec.baseline, plan.spec.metric.name
    kept = answer.trials[f"{arm}/seed0"]
    with tempfile.TemporaryDirectory() as folder:
        if plan.classifiers and (start := plan.start_of(arm, 0)):
            classifiers = replace(plan.classifiers, directory=Path(folder))
            plan = replace(plan, classifiers=classifiers)
            fit_and_test(classifiers.trial_config(*start), classifiers.trial_directory(*start))
        found = fit_and_test(plan.trial_config(arm, 0), Path(folder) / "trial")
    seeds = [trial["metrics"][metric] for name, trial in answer.trials.items() if name.startswith(f"{arm}/")]
    return Check(
        f"{arm}/seed0",
        kept["metrics"][metric],
        found["metrics"][metric],
        prediction_interval(seeds),
        _is_same_machine(kept, found),
    )


def prediction_interval(values: list[float]) -> tuple[float, float]:
    """Return where one new value lies with a probability of 99 %, if all are normal with one mean and spread."""
    n, mean = len(values), float(np.mean(values))
    half = special.stdtrit(n - 1, 1 - OUTSIDE / 2) * np.std(values, ddof=1) * np.sqrt(1 + 1 / n)
    return mean - float(half), mean + float(half)


def _is_same_machine(kept: dict[str, Any], found: dict[str, Any]) -> bool:
    then, now = kept["provenance"], found["provenance"]
    return (then["versions"], then["device"], kept["threads"]) == (now["versions"], now["device"], found["threads"])

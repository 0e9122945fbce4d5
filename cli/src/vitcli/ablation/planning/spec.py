"""The ``ablation`` section of a configuration as data: which arms, which seeds, what is compared, and how.

This module is light: the runner, which must not import torch, reads plans that hold a spec. Files are read by
``vitcli.ablation.planning.section``.
"""

import itertools
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from vitcli.config.errors import nearest
from vitcli.config.names import LONGEST_NAME
from vitcli.records.ablation import Pairing

Budget = Literal["epochs", "training_time", "macs"]

FEWEST_SEEDS = 3
"""Seeds before an arm may be stopped. With two, a small p-value only means that two differences happen to be close."""

MOST_TRIALS = 100_000
"""Largest number of trials of all arms. A larger one is a typing error."""


@dataclass(frozen=True)
class Seeds:
    """Number of seeds, where 5 in a file stands for 5 of the baseline and 5 of every other arm.

    Args:
        baseline: The baseline is trained with the seeds 0 .. baseline - 1. It takes part in every comparison, so that its
            seeds add the most evidence for each trial.
        arms: Every other arm is trained with the seeds 0 .. arms - 1.
    """

    baseline: int = 5
    arms: int = 5

    def __post_init__(self) -> None:
        if self.arms < 1:
            entry = "seeds" if self.baseline == self.arms else "seeds.arms"
            raise ValueError(f"{entry} is {self.arms}; expected a whole number of at least 1.")
        if self.baseline < self.arms:
            raise ValueError(
                f"seeds.baseline is {self.baseline}, fewer than seeds.arms, which is {self.arms}; give the baseline at least "
                "as many: it takes part in every comparison."
            )

    def __str__(self) -> str:
        """How a file says it."""
        if self.baseline == self.arms:
            return f"{self.arms:,}"
        return f"{{baseline: {self.baseline:,}, arms: {self.arms:,}}}"


@dataclass(frozen=True)
class Metric:
    """The metric that arms are compared by.

    Args:
        name: Name under which the task logs it.
        direction: Whether a larger or a smaller value is better.
    """

    name: str = "test/acc1"
    direction: Literal["max", "min"] = "max"

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable() or len(self.name) > LONGEST_NAME:
            raise ValueError(f"metric.name is {self.name!r}; expected the name of a metric, such as test/acc1.")


@dataclass(frozen=True)
class StopEarly:
    """When arms that are behind are stopped; see ``vitcli.statistics.sequential``.

    Args:
        after: Seeds before the first look.
        level: Probability that at least one arm is stopped although it is not worse than the baseline, over all looks.
    """

    after: int
    level: float = 0.05

    def __post_init__(self) -> None:
        if self.after < FEWEST_SEEDS:
            raise ValueError(f"stop_early.after is {self.after}; expected a whole number of at least {FEWEST_SEEDS}.")
        if not 0 < self.level < 1:
            raise ValueError(f"stop_early.level is {self.level}; expected a number between 0 and 1.")


@dataclass(frozen=True)
class AblationSpec:
    """Arms times seeds.

    Args:
        baseline: The arm that the others are compared with.
        arms: For each arm, the keys that it changes in the configuration, and their values.
        seeds: Number of replicates.
        metric: What is compared.
        pairing: How seeds are compared; see ``vitcli.statistics.against_baseline``.
        margin: The smallest difference that matters, in the metric's unit; None if the ablation does not ask for equivalence.
        looks: Seeds of an arm at each look at the results, the last one at all seeds; empty for one look at the end. An arm
            that a look decides gets no further seeds. The baseline has its part of its seeds, rounded up.
        question: The question, for the report.
        source: The publication that asked it first.
        only: Arms to run; all if empty. The report still compares with the baseline if its trials are there.
        exclude: Arms not to run.
        workers: Trials at a time; 0 for as many as the machine has cores for (cores divided by threads), or one per GPU.
        budget: What is equal in every arm: epochs, training time or multiply-adds; see ``vitcli.ablation.planning.budget``.
        retry: ``failed`` to run failed trials again.
        launcher: Where trials run: the launcher's ``class_path`` and ``init_args``.
        stop_early: When arms that are behind are stopped; None for never.
        labels: Arm -> what it is in a few words, for the report, where its name is short.
        levels: The level of each factor, for the arms that were made from factors.

    Raises:
        ValueError: A value is out of its range, or a name is not that of an arm. The message begins with the entry.
    """

    baseline: str
    arms: dict[str, dict[str, Any]]
    seeds: Seeds = field(default_factory=Seeds)
    metric: Metric = field(default_factory=Metric)
    pairing: Pairing = "estimated"
    margin: float | None = None
    looks: list[int] = field(default_factory=list)
    question: str = ""
    source: str = ""
    only: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    workers: int = 0
    budget: Budget = "epochs"
    retry: list[Literal["failed"]] = field(default_factory=list)
    launcher: dict[str, Any] = field(default_factory=lambda: {"class_path": "vitcli.LocalLauncher"})
    stop_early: StopEarly | None = None
    labels: dict[str, str] = field(default_factory=dict)
    levels: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_looks()
        self._check_names()

    def _check_numbers(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}; expected a whole number of at least 0.")
        trials = self.seeds.baseline + self.seeds.arms * (len(self.arms) - 1)
        if trials > MOST_TRIALS:
            raise ValueError(
                f"seeds is {self.seeds} with {len(self.arms):,} arms, {trials:,} trials; expected at most {MOST_TRIALS:,}."
            )
        if self.margin is not None and self.margin <= 0:
            raise ValueError(f"margin is {self.margin}; expected a positive number, or null for no margin.")
        if self.pairing == "seeds" and self.seeds.baseline != self.seeds.arms:
            raise ValueError(
                f"pairing is 'seeds', which uses only seeds that both sides have, but ablation.seeds is {self.seeds}; "
                f"set ablation.seeds to {self.seeds.arms}, or pairing to estimated or none."
            )

    def _check_looks(self) -> None:
        """Check when results are looked at, by ``stop_early`` or by ``looks``."""
        if self.stop_early is not None and self.looks:
            raise ValueError(
                f"looks is {self.looks}, and stop_early is set too; both stop arms, so remove one of them."
            )
        if self.stop_early is not None and self.stop_early.after >= self.seeds.arms:
            raise ValueError(
                f"stop_early.after is {self.stop_early.after} of {self.seeds.arms} seeds, so no seed could be saved; "
                "lower it or raise ablation.seeds."
            )
        if any(after <= before for before, after in itertools.pairwise([1, *self.looks])):
            raise ValueError(
                f"looks is {self.looks}; expected increasing numbers of seeds from 2 upward, such as [5, 10, 20]."
            )
        if self.looks and self.looks[-1] != self.seeds.arms:
            raise ValueError(
                f"looks is {self.looks}, which ends at {self.looks[-1]} seeds, but every arm has {self.seeds.arms}; "
                f"end it with {self.seeds.arms}, or set ablation.seeds."
            )

    def _check_names(self) -> None:
        for key, names in (
            ("baseline", [self.baseline]),
            ("only", self.only),
            ("exclude", self.exclude),
            ("labels", list(self.labels)),
        ):
            for name in names:
                if name not in self.arms:
                    raise ValueError(f"{key} names {name!r}, which is not an arm{nearest(name, self.arms)}")
        for name, label in self.labels.items():
            if not label or not label.isprintable() or len(label) > LONGEST_NAME:
                raise ValueError(f"labels.{name} is {label!r}; expected a few words, at most {LONGEST_NAME} letters.")
        if not self.chosen:
            raise ValueError(f"{'exclude' if self.exclude else 'only'} leaves no arm to run; name fewer.")

    @property
    def chosen(self) -> list[str]:
        """Arms to run, in the file's order."""
        return [name for name in self.arms if name not in self.exclude and (not self.only or name in self.only)]

    @property
    def trials(self) -> int:
        """Number of trials of the arms to run."""
        return sum(len(self.seeds_of(name)) for name in self.chosen)

    def seeds_of(self, arm: str) -> range:
        """The seeds of one arm."""
        return range(self.seeds.baseline if arm == self.baseline else self.seeds.arms)

    @property
    def launcher_name(self) -> str:
        """The launcher's short name, such as ``slurm``; its class path if it is not one of vitcli's."""
        return launcher_name(self.launcher["class_path"])


def launcher_class(name: str) -> str:
    """Return the class path of one of vitcli's launchers: ``vitcli.SlurmLauncher`` for ``slurm``."""
    return f"vitcli.{name.title().replace('_', '')}Launcher"


def launcher_name(class_path: str) -> str:
    """Return the short name of a launcher: the inverse of ``launcher_class``. Another package's keeps its class path."""
    if not class_path.startswith("vitcli."):
        return class_path
    name = class_path.removeprefix("vitcli.").removesuffix("Launcher")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

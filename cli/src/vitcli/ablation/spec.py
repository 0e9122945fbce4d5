"""The ``ablation`` section of a configuration as data: which arms, which seeds, what is compared, and how.

This module is light: the runner, which must not import torch, reads plans that hold a spec. ``vitcli.ablation.section`` reads it
from files.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vitcli.config.errors import nearest

Budget = Literal["epochs", "training_time", "macs"]

FEWEST_SEEDS = 3
"""Seeds before an arm may be stopped. With two, a small p-value only means that two differences happen to be close."""

MOST_TRIALS = 100_000
"""Largest number of arms times seeds. A larger one is a typing error."""


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
        if not self.name:
            raise ValueError("metric.name is ''; expected the name of a metric, such as test/acc1.")


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
        seeds: Number of replicates; every arm is trained with the seeds 0 .. seeds - 1.
        metric: What is compared.
        question: The question, for the report.
        source: The publication that asked it first.
        only: Arms to run; all if empty. The report still compares with the baseline if its trials are there.
        exclude: Arms not to run.
        workers: Trials at a time; 0 for as many as the machine has cores for (cores divided by threads), or one per GPU.
        budget: What is equal in every arm: epochs, training time or multiply-adds; see ``vitcli.ablation.budget``.
        retry: ``failed`` to run failed trials again.
        launcher: Where trials run: the launcher's ``class_path`` and ``init_args``.
        stop_early: When arms that are behind are stopped; None for never.
        levels: The level of each factor, for the arms that were made from factors.

    Raises:
        ValueError: A value is out of its range, or a name is not that of an arm. The message begins with the entry.
    """

    baseline: str
    arms: dict[str, dict[str, Any]]
    seeds: int = 5
    metric: Metric = field(default_factory=Metric)
    question: str = ""
    source: str = ""
    only: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    workers: int = 0
    budget: Budget = "epochs"
    retry: list[Literal["failed"]] = field(default_factory=list)
    launcher: dict[str, Any] = field(default_factory=lambda: {"class_path": "vitcli.LocalLauncher"})
    stop_early: StopEarly | None = None
    levels: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_names()

    def _check_numbers(self) -> None:
        for name, least in (("seeds", 1), ("workers", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a whole number of at least {least}.")
        trials = self.seeds * len(self.arms)
        if trials > MOST_TRIALS:
            raise ValueError(
                f"seeds is {self.seeds:,} with {len(self.arms):,} arms, {trials:,} trials; "
                f"expected at most {MOST_TRIALS:,}."
            )
        if self.stop_early is not None and self.stop_early.after >= self.seeds:
            raise ValueError(
                f"stop_early.after is {self.stop_early.after} of {self.seeds} seeds, so no seed could be saved; "
                "lower it or raise ablation.seeds."
            )

    def _check_names(self) -> None:
        for key, names in (("baseline", [self.baseline]), ("only", self.only), ("exclude", self.exclude)):
            for name in names:
                if name not in self.arms:
                    raise ValueError(f"{key} names {name!r}, which is no arm{nearest(name, self.arms)}")
        if not self.chosen:
            raise ValueError(f"{'exclude' if self.exclude else 'only'} leaves no arm to run; name fewer.")

    @property
    def chosen(self) -> list[str]:
        """Arms to run, in the file's order."""
        return [name for name in self.arms if name not in self.exclude and (not self.only or name in self.only)]

    @property
    def trials(self) -> int:
        """Number of trials of the arms to run."""
        return len(self.chosen) * self.seeds

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


def ablation_name(files: list[str]) -> str:
    """Return the name of the ablation's directory: the stem of its first file."""
    return Path(files[0]).stem

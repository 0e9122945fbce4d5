"""What a finished or half-finished ablation consists of: frozen records, and no knowledge of files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vitcli.records.conditions import Budget, Provenance, Speed

Status = Literal["done", "failed", "not finite", "stale", "unfinished", "dropped", "unplanned"]
Direction = Literal["max", "min"]


@dataclass(frozen=True)
class Metric:
    """The metric that decides: its name, and whether a larger (``max``) or a smaller (``min``) value is better."""

    name: str
    direction: Direction

    @property
    def sign(self) -> int:
        """+1 if a larger value is better, else -1."""
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True)
class Trial:
    """One training run: one arm with one seed.

    Only a trial whose ``status`` is ``done`` enters a statistic; all others are listed in the report with their ``cause``.

    Args:
        arm, seed: Which trial it is.
        directory: Where it lies.
        status: ``done``; ``failed`` (its result says so); ``not finite`` (the main metric is absent, NaN or infinite);
            ``stale`` (made by another resolved config than the arm's); ``unfinished`` (no result yet); ``dropped`` (no result,
            because racing stopped the arm); ``unplanned`` (a result under an arm or seed that the plan does not have).
        cause: Why it is not ``done``, in words; empty for ``done``.
        epochs: Epochs trained.
        metrics: Final values by name, e.g. ``test/acc1``; may hold NaN.
        train_seconds, train_images: Seconds spent in training and images seen in it.
        threads: CPU threads it ran with.
        provenance: Which code, data and device made it; None if that was not recorded.
        resumed: Epochs that were done already at each continuation; empty if it ran in one go.
        log: Last lines of its log, if it failed.
    """

    arm: str
    seed: int
    directory: Path
    status: Status
    cause: str = ""
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    train_seconds: float = 0.0
    train_images: int = 0
    threads: int = 0
    provenance: Provenance | None = None
    resumed: tuple[int, ...] = ()
    log: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``<arm>/seed<k>``, as its directory is called."""
        return f"{self.arm}/seed{self.seed}"


@dataclass(frozen=True)
class Arm:
    """One variant of the ablation with its planned trials.

    Args:
        name: As in the ablation's file.
        id: Hash of its resolved config.
        difference: Resolved key -> (value in the baseline, value in this arm).
        parameters, macs: Learned numbers, and multiply-adds for one image; None if they were not measured.
        trials: One per planned seed, in the plan's order, whatever their status.
    """

    name: str
    id: str
    difference: Mapping[str, tuple[Any, Any]]
    parameters: int | None
    macs: int | None
    trials: tuple[Trial, ...]

    @property
    def done(self) -> tuple[Trial, ...]:
        """The trials that statistics use."""
        return tuple(trial for trial in self.trials if trial.status == "done")

    def values(self, metric: str) -> dict[int, float]:
        """Seed -> final value of ``metric``, over the done trials that have it."""
        return {trial.seed: trial.metrics[metric] for trial in self.done if metric in trial.metrics}


@dataclass(frozen=True)
class Ablation:
    """One question with its arms, as the runner recorded it.

    Args:
        directory: Where the records lie.
        name, question, source: What is asked, and which paper's table asks it.
        baseline: Name of the arm that the others are compared with.
        metric: The metric that decides.
        seeds: The planned seeds; the same for every arm, so that differences are paired.
        command, versions, machine: How it was run.
        arms: In the file's order.
        unplanned: Results found under an arm or seed that the plan does not have.
        levels: Arm -> factor -> level, of the arms that were made from factors.
        budget: What every arm may spend; None if the plan does not tell.
        dropped: Arm -> why racing stopped it.
        speed: Speeds measured under equal conditions; None if none were.
    """

    directory: Path
    name: str
    question: str
    source: str
    baseline: str
    metric: Metric
    seeds: tuple[int, ...]
    command: str
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    arms: tuple[Arm, ...]
    unplanned: tuple[Trial, ...]
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    budget: Budget | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)
    speed: Speed | None = None

    def arm(self, name: str) -> Arm:
        """The arm called ``name``."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def not_used(self) -> tuple[Trial, ...]:
        """Every trial that is in no statistic, in the arms' order, the unplanned ones last."""
        planned = (trial for arm in self.arms for trial in arm.trials if trial.status != "done")
        return (*planned, *self.unplanned)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The main metric, then every other metric that a done trial has."""
        names = dict.fromkeys(name for arm in self.arms for trial in arm.done for name in trial.metrics)
        return tuple(dict.fromkeys([self.metric.name, *names]))

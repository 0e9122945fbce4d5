"""One row per arm: what every table, page and figure of the report is made from."""

from dataclasses import dataclass

from vitcli.records.ablation import Ablation, Arm, Metric
from vitcli.records.speed import ArmSpeed
from vitcli.report.mixed_conditions import mixed_conditions
from vitcli.statistics.comparison import Comparison, Estimate, compare, estimate

BASELINE = "baseline"


@dataclass(frozen=True)
class Row:
    """One arm's result, its comparison with the baseline and its cost.

    Args:
        arm: Its name.
        result: The main metric over the arm's done trials.
        comparison: The comparison with the baseline; None for the baseline itself.
        parameters: Number of learned parameters; None if it was not measured.
        macs: Multiply-adds for one image; None if they were not measured.
        train_seconds: Mean training time of the done trials, in seconds; None without one.
        images_per_second: Training images over training seconds, all done trials together; None without one.
        speed: Speed measured under equal conditions; None if the arm was not measured as it is now.
    """

    arm: str
    result: Estimate
    comparison: Comparison | None
    parameters: int | None
    macs: int | None
    train_seconds: float | None
    images_per_second: float | None
    speed: ArmSpeed | None

    @property
    def verdict(self) -> str:
        """``baseline`` for the baseline itself, else the comparison's verdict."""
        return BASELINE if self.comparison is None else self.comparison.verdict


@dataclass(frozen=True)
class Summary:
    """All arms, and what they are compared by.

    Args:
        metric: The metric of ``Row.result``.
        baseline: Name of the arm that the others are compared with.
        comparisons: Number of arms in Holm's correction.
        rows: In the arms' order.
        warnings: Sentences about what makes the numbers doubtful; they come before the numbers.
    """

    metric: Metric
    baseline: str
    comparisons: int
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]

    @property
    def has_speed(self) -> bool:
        """Whether the speed of some arm is known."""
        return any(row.speed for row in self.rows)

    def row(self, arm: str) -> Row:
        """The row of the arm called ``arm``."""
        return next(row for row in self.rows if row.arm == arm)


def summarise(ablation: Ablation) -> Summary:
    """Estimate every arm and compare it with the baseline."""
    values = {arm.name: arm.values(ablation.metric.name) for arm in ablation.arms}
    compared = compare(values, ablation.baseline, ablation.metric.direction)
    return Summary(
        metric=ablation.metric,
        baseline=ablation.baseline,
        comparisons=sum(comparison.p_holm is not None for comparison in compared.values()),
        rows=tuple(
            _row(arm, estimate(list(values[arm.name].values())), compared.get(arm.name), speed_of(ablation, arm))
            for arm in ablation.arms
        ),
        warnings=mixed_conditions(ablation),
    )


def speed_of(ablation: Ablation, arm: Arm) -> ArmSpeed | None:
    """Return the speed measured for an arm; None if there is none, or if another config of that name was measured."""
    found = ablation.speed.arms.get(arm.name) if ablation.speed else None
    return found if found and found.id == arm.id else None


def _row(arm: Arm, result: Estimate, comparison: Comparison | None, speed: ArmSpeed | None) -> Row:
    seconds = sum(trial.train_seconds for trial in arm.done)
    images = sum(trial.train_images for trial in arm.done)
    return Row(
        arm=arm.name,
        result=result,
        comparison=comparison,
        parameters=arm.parameters,
        macs=arm.macs,
        train_seconds=seconds / len(arm.done) if arm.done else None,
        images_per_second=images / seconds if seconds else None,
        speed=speed,
    )

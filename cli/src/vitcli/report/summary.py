"""One row per arm: what every table, page and figure of the report is made from."""

from dataclasses import dataclass

from vitcli.records.ablation import Ablation, Metric
from vitcli.records.arm import Arm
from vitcli.records.speed import ArmSpeed
from vitcli.report.early_ends import unequal_budget
from vitcli.report.mixed_conditions import mixed_conditions
from vitcli.report.verdicts import Verdicts, verdicts
from vitcli.statistics.against_baseline import Difference, Pairing
from vitcli.statistics.comparison import Estimate, estimate, paired_differences
from vitcli.statistics.improvement import Improvement, improvement
from vitcli.statistics.planning import SeedRange, seeds_range

BASELINE = "baseline"


@dataclass(frozen=True)
class Row:
    """One arm's result, its comparison with the baseline and its cost.

    Args:
        arm: Its name.
        result: The main metric over the arm's done trials.
        difference: The comparison with the baseline; None for the baseline itself.
        improvement: How often the arm beats the baseline; None for the baseline, and without two common seeds.
        seeds_needed: Seeds that would show a difference of the observed size; None for the baseline.
        exploratory: Whether the verdict is new since the first of several undeclared looks.
        parameters: Number of learned parameters; None if it was not measured.
        macs: Multiply-adds for one image; None if they were not measured.
        train_seconds: Mean training time of the done trials, in seconds; None without one.
        images_per_second: Training images over training seconds, all done trials together; None without one.
        speed: Speed measured under equal conditions; None if the arm was not measured as it is now.
    """

    arm: str
    result: Estimate
    difference: Difference | None
    improvement: Improvement | None
    seeds_needed: SeedRange | None
    exploratory: bool
    parameters: int | None
    macs: int | None
    train_seconds: float | None
    images_per_second: float | None
    speed: ArmSpeed | None

    @property
    def verdict(self) -> str:
        """``baseline`` for the baseline itself, else the comparison's verdict."""
        return BASELINE if self.difference is None else self.difference.verdict

    @property
    def outcome(self) -> str:
        """The verdict as tables and figures show it: one that is exploratory says so."""
        return f"{self.verdict} (exploratory)" if self.exploratory else self.verdict


@dataclass(frozen=True)
class Summary:
    """All arms, and what they are compared by.

    Args:
        metric: The metric of ``Row.result``.
        baseline: Name of the arm that the others are compared with.
        pairing: How seeds are to be compared, as declared.
        margin: The smallest difference that matters; None if none was declared.
        verdicts: The comparison behind ``Row.difference``, and its looks.
        rows: In the arms' order.
        warnings: Sentences about what makes the numbers doubtful; they come before the numbers.
    """

    metric: Metric
    baseline: str
    pairing: Pairing
    margin: float | None
    verdicts: Verdicts
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]

    @property
    def comparisons(self) -> int:
        """Number of arms that the p-values are corrected for."""
        latest = self.verdicts.latest
        return 0 if latest is None else sum(one.p_adjusted is not None for one in latest.differences.values())

    @property
    def has_speed(self) -> bool:
        """Whether the speed of some arm is known."""
        return any(row.speed for row in self.rows)

    def row(self, arm: str) -> Row:
        """The row of the arm called ``arm``."""
        return next(row for row in self.rows if row.arm == arm)


def summarise(ablation: Ablation) -> Summary:
    """Estimate every arm and compare it with the baseline."""
    found = verdicts(ablation)
    return Summary(
        metric=ablation.metric,
        baseline=ablation.baseline,
        pairing=ablation.pairing,
        margin=ablation.margin,
        verdicts=found,
        rows=tuple(_row(ablation, arm, found) for arm in ablation.arms),
        warnings=(*mixed_conditions(ablation), *filter(None, [unequal_budget(ablation)])),
    )


def speed_of(ablation: Ablation, arm: Arm) -> ArmSpeed | None:
    """Return the speed measured for an arm; None if there is none, or if another config of that name was measured."""
    found = ablation.speed.arms.get(arm.name) if ablation.speed else None
    return found if found and found.id == arm.id else None


def _row(ablation: Ablation, arm: Arm, found: Verdicts) -> Row:
    difference = found.differences.get(arm.name)
    seconds = sum(trial.train_seconds for trial in arm.done)
    images = sum(trial.train_images for trial in arm.done)
    return Row(
        arm=arm.name,
        result=estimate(list(arm.values(ablation.metric.name).values())),
        difference=difference,
        improvement=None if difference is None else _improvement(ablation, arm),
        seeds_needed=seeds_range(difference, found.latest) if difference and found.latest else None,
        exploratory=arm.name in found.exploratory,
        parameters=arm.parameters,
        macs=arm.macs,
        train_seconds=seconds / len(arm.done) if arm.done else None,
        images_per_second=images / seconds if seconds else None,
        speed=speed_of(ablation, arm),
    )


def _improvement(ablation: Ablation, arm: Arm) -> Improvement | None:
    metric = ablation.metric
    gains = metric.sign * paired_differences(
        arm.values(metric.name), ablation.arm(ablation.baseline).values(metric.name)
    )
    return improvement(gains) if gains.size > 1 else None

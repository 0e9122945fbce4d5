"""Which trials the results so far call for: arms that are behind or decided while an ablation runs get no further seeds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from vitcli.ablation.planning.plan import Plan
from vitcli.records.trial import read_result, result_status


@dataclass(frozen=True)
class Race:
    """What the results so far say of the trials. It does not depend on the order in which trials end.

    Args:
        seeds: Arm -> number of seeds that it may be trained with now; 0 for a stopped arm, whose results stay in use.
        stopped: Arm -> why it gets no further seeds.
    """

    seeds: dict[str, int]
    stopped: dict[str, str]

    def allows(self, arm: str, seed: int) -> bool:
        """Whether a trial may run now."""
        return seed < self.seeds[arm]


def race_so_far(plan: Plan) -> Race:
    """Return what the results so far allow, by ``ablation.stop_early`` or ``ablation.looks``; all trials without them.

    With looks, the trials of a look run after the look before has been decided. A look needs the trials of all arms of the
    file, also of those that this command does not run: its error holds for all of them together.
    """
    if plan.spec.looks:
        return _race_by_looks(plan)
    stopped = _stopped_early(plan)
    return Race({arm: 0 if arm in stopped else len(plan.seeds_of(arm)) for arm in plan.arms}, stopped)


def _stopped_early(plan: Plan) -> dict[str, str]:
    rule = plan.spec.stop_early
    if rule is None:
        return {}
    from vitcli.statistics.sequential import arms_to_stop

    metric = plan.spec.metric
    values = _values(plan, {plan.spec.baseline: None, **dict.fromkeys(plan.spec.chosen)})
    return arms_to_stop(
        values, plan.spec.baseline, metric.direction, rule.after, rule.level, plan.spec.seeds.arms, plan.spec.pairing
    )


def _race_by_looks(plan: Plan) -> Race:
    from vitcli.statistics.looks import compare_at_looks, declared_looks

    spec = plan.spec
    looks = declared_looks(spec.looks, spec.seeds.baseline)
    values = _values(plan, plan.arms)
    baseline = values.pop(spec.baseline)
    found = compare_at_looks(baseline, values, looks, spec.metric.direction, spec.pairing, margin=spec.margin)
    last = len(looks) - 1
    stopped = {
        arm: f"decided after look {number + 1} of {last + 1} ({looks[number].arms} of {spec.seeds.arms} seeds): "
        f"{found.differences[arm].verdict}."
        for arm, number in found.decided.items()
        if number < last
    }
    if len(stopped) == len(values):
        number = len(found.comparisons) - 1
        stopped[spec.baseline] = (
            f"needed no further seeds after look {number + 1} of {last + 1} ({looks[number].baseline} of "
            f"{spec.seeds.baseline} seeds): every other arm is decided."
        )
    now = looks[min(len(found.comparisons), last)]
    allowed = {arm: now.baseline if arm == spec.baseline else now.arms for arm in plan.arms}
    return Race({arm: 0 if arm in stopped else n for arm, n in allowed.items()}, stopped)


def _values(plan: Plan, arms: Iterable[str]) -> dict[str, dict[int, float]]:
    """Return arm -> seed -> value, NaN for a trial that ended without one; a seed whose trial has not ended is left out."""
    return {arm: _values_of(plan, arm) for arm in arms}


def _values_of(plan: Plan, arm: str) -> dict[int, float]:
    values = {}
    for seed in plan.seeds_of(arm):
        result = read_result(plan.trial_directory(arm, seed)) or {}
        status, _ = result_status(result, plan.arms[arm].id)
        if status == "done":
            values[seed] = float(result["metrics"].get(plan.spec.metric.name, math.nan))
        elif status in ("failed", "not finite"):
            values[seed] = math.nan
    return values

"""Early stopping of arms while an ablation runs: which arms the results so far rule out."""

import math

from vitcli.ablation.planned import Plan
from vitcli.records.trial import read_result, result_status


def stopped_arms(plan: Plan) -> dict[str, str]:
    """Return the arms that ``ablation.stop_early`` stops, each with the reason; empty if the rule is not set."""
    rule = plan.spec.stop_early
    if rule is None:
        return {}
    from vitcli.statistics.sequential import arms_to_stop

    metric = plan.spec.metric
    values = {
        arm: _values(plan, arm, metric.name) for arm in {plan.spec.baseline: None, **dict.fromkeys(plan.spec.chosen)}
    }
    return arms_to_stop(values, plan.spec.baseline, metric.direction, rule.after, rule.level, plan.spec.seeds)


def _values(plan: Plan, arm: str, metric: str) -> dict[int, float]:
    """Return seed -> value, NaN for a trial that ended without one; a seed whose trial has not ended is left out."""
    values = {}
    for seed in range(plan.spec.seeds):
        result = read_result(plan.trial_directory(arm, seed)) or {}
        status, _ = result_status(result, plan.arms[arm].id)
        if status == "done":
            values[seed] = float(result["metrics"].get(metric, math.nan))
        elif status in ("failed", "not finite"):
            values[seed] = math.nan
    return values

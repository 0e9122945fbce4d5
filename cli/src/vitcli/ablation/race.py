"""Early stopping of arms while an ablation runs: which arms the results so far rule out."""

import math

from vitcli.ablation.planned import Plan
from vitcli.ablation.state import RESULT
from vitcli.records.json_files import read_json


def stopped_arms(plan: Plan) -> dict[str, str]:
    """Return the arms that ``ablation.stop_early`` stops, each with the reason; empty if the rule is not set."""
    rule = plan.spec.stop_early
    if rule is None:
        return {}
    from vitcli.statistics.sequential import dropped

    metric = plan.spec.metric
    values = {
        arm: _values(plan, arm, metric.name) for arm in {plan.spec.baseline: None, **dict.fromkeys(plan.spec.chosen)}
    }
    return dropped(values, plan.spec.baseline, metric.direction, rule.after, rule.level, plan.spec.seeds)


def _values(plan: Plan, arm: str, metric: str) -> dict[int, float]:
    """Return seed -> value, NaN for a trial that failed; seeds without a result of this configuration are left out."""
    values = {}
    for seed in range(plan.spec.seeds):
        result = read_json(plan.trial_directory(arm, seed) / RESULT) or {}
        if result.get("id") == plan.arms[arm].id:
            values[seed] = float((result.get("metrics") or {}).get(metric, math.nan))
    return values

"""The race of a running ablation: its results so far, and the arms that they stop."""

import math

from vitcli.ablation.planned import Plan
from vitcli.ablation.state import RESULT
from vitcli.records.json_files import read_json


def stopped_arms(plan: Plan) -> dict[str, str]:
    """Return the arms that need no further seeds and why, by the rule of ``ablation.stop_early``; none without it."""
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
    """Seed -> value, NaN for a trial that failed; a seed without a result of this configuration is absent."""
    values = {}
    for seed in range(plan.spec.seeds):
        result = read_json(plan.trial_directory(arm, seed) / RESULT) or {}
        if result.get("id") == plan.arms[arm].id:
            values[seed] = float((result.get("metrics") or {}).get(metric, math.nan))
    return values

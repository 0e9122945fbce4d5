"""Which data the arms are trained on, before the first trial: a trial of other data is not done."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vitcli.ablation.planning.make_plan import on_this_machine
from vitcli.ablation.planning.plan import Plan
from vitcli.measure.cost import build_anywhere


def with_fingerprints(plan: Plan) -> Plan:
    """Return the plan with the fingerprint of each arm's and classifier's data, as far as the data module has one."""
    known: dict[str, str | None] = {}
    for arm in plan.arms.values():
        key = json.dumps(arm.config["data"], sort_keys=True)
        if key not in known:
            known[key] = _fingerprint(on_this_machine(arm.config, "any"))
    found = {name: known[json.dumps(arm.config["data"], sort_keys=True)] for name, arm in plan.arms.items()}
    classifiers = plan.classifiers and with_fingerprints(plan.classifiers)
    arms = {name: replace(arm, data=found[name]) for name, arm in plan.arms.items()}
    return replace(plan, arms=arms, classifiers=classifiers)


def _fingerprint(config: Mapping[str, Any]) -> str | None:
    # The data module is somebody's code, which may raise anything; the rehearsal says what is wrong with the data.
    with contextlib.suppress(Exception):
        fingerprint = getattr(build_anywhere(dict(config))[1], "fingerprint", None)
        return str(fingerprint()) if callable(fingerprint) else None
    return None

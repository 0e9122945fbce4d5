"""Reading a run directory: this file and load_conditions.py are all of the report that knows the runner's JSON."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from vitcli.records import load_conditions
from vitcli.records.ablation import Ablation, Arm, Direction, Metric, Status, Trial
from vitcli.records.json_records import ReportError, get, get_optional, number, read

PLAN = "ablation.json"
RESULT = "result.json"


def load(directory: str | Path) -> Ablation:
    """Read an ablation, finished or not.

    Args:
        directory: ``runs/<name>``, which holds ``ablation.json`` and ``<arm>/seed<k>/result.json``.

    Raises:
        ReportError: A file is missing, cut short, of another format, or lies in another trial's directory.
    """
    root = Path(directory)
    path = root / PLAN
    plan = read(path)
    metric = get(plan, "metric", dict, path)
    direction = get(metric, "direction", str, path)
    if direction not in ("max", "min"):
        raise ReportError(f"{path}: the metric's direction must be max or min, got {direction}.")
    main = Metric(get(metric, "name", str, path), cast(Direction, direction))
    seeds = tuple(get(plan, "seeds", list, path))
    dropped = {name: str(why) for name, why in (get_optional(plan, "dropped", dict, path) or {}).items()}
    arms = tuple(
        _arm(root, name, record, seeds, main.name, dropped) for name, record in get(plan, "arms", dict, path).items()
    )
    baseline = get(plan, "baseline", str, path)
    if baseline not in {arm.name for arm in arms}:
        raise ReportError(f"{path}: the baseline {baseline} is not one of the arms {', '.join(a.name for a in arms)}.")
    return Ablation(
        directory=root,
        name=get(plan, "name", str, path),
        question=str(plan.get("question", "")),
        source=str(plan.get("source", "")),
        baseline=baseline,
        metric=main,
        seeds=seeds,
        command=str(plan.get("command", "")),
        versions=plan.get("versions", {}),
        machine=plan.get("machine", {}),
        arms=arms,
        unplanned=_unplanned(root, {(arm.name, seed) for arm in arms for seed in seeds}),
        levels=load_conditions.levels(plan, path),
        budget=load_conditions.budget(plan, path),
        dropped=dropped,
        speed=load_conditions.speed(root),
    )


def _arm(root: Path, name: str, record: Any, seeds: tuple[int, ...], metric: str, dropped: Mapping[str, str]) -> Arm:
    path = root / PLAN
    if not isinstance(record, dict):
        raise ReportError(f"{path}: the arm {name} must be an object, got {record!r}.")
    id_ = get(record, "id", str, path)
    return Arm(
        name=name,
        id=id_,
        difference={key: _pair(key, pair, path) for key, pair in get(record, "difference", dict, path).items()},
        parameters=record.get("parameters"),
        macs=record.get("macs"),
        trials=tuple(
            _trial(root / name / f"seed{seed}", name, seed, id_, metric, "dropped" if name in dropped else "unfinished")
            for seed in seeds
        ),
    )


def _trial(directory: Path, arm: str, seed: int, id_: str, metric: str, without_result: Status) -> Trial:
    path = directory / RESULT
    if not path.exists():
        started = f"no {RESULT} yet" if directory.is_dir() else "not started"
        cause = "racing stopped the arm before this seed" if without_result == "dropped" else started
        return Trial(arm, seed, directory, without_result, cause)
    result = read(path)
    owner = (get(result, "arm", str, path), get(result, "seed", int, path))
    if owner != (arm, seed):
        raise ReportError(f"{path}: the result is of {owner[0]}/seed{owner[1]}, but lies in {arm}/seed{seed}.")
    metrics = {name: number(value) for name, value in (result.get("metrics") or {}).items()}
    status, cause = _status(result, path, id_, metric, metrics.get(metric))
    return Trial(
        arm=arm,
        seed=seed,
        directory=directory,
        status=status,
        cause=cause,
        epochs=int(result.get("epochs") or 0),
        metrics=metrics,
        train_seconds=float(result.get("train_seconds") or 0.0),
        train_images=int(result.get("train_images") or 0),
        threads=int(result.get("threads") or 0),
        provenance=load_conditions.provenance(result, path),
        resumed=tuple(int(epoch) for epoch in get_optional(result, "resumed", list, path) or ()),
        log=tuple(str(line) for line in get_optional(result, "log", list, path) or ()),
    )


def _status(result: dict[str, Any], path: Path, id_: str, metric: str, value: float | None) -> tuple[Status, str]:
    found = get(result, "id", str, path)
    if found != id_:
        return "stale", f"made by the config {found}, the arm's is {id_}"
    said = get(result, "status", str, path)
    if said == "failed":
        return "failed", str(result.get("cause") or "no cause recorded")
    if said != "done":
        raise ReportError(f"{path}: status must be done or failed, got {said}.")
    if value is None:
        return "not finite", f"the result has no {metric}"
    if not math.isfinite(value):
        return "not finite", f"{metric} is {value}"
    return "done", ""


def _unplanned(root: Path, planned: set[tuple[str, int]]) -> tuple[Trial, ...]:
    found = []
    for path in sorted(root.glob(f"*/seed*/{RESULT}")):
        match = re.fullmatch(r"seed(\d+)", path.parent.name)
        arm = path.parent.parent.name
        if match and (arm, int(match[1])) not in planned:
            cause = f"{PLAN} has no such arm or seed"
            found.append(Trial(arm, int(match[1]), path.parent, "unplanned", cause))
    return tuple(found)


def _pair(key: str, pair: Any, path: Path) -> tuple[Any, Any]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ReportError(f"{path}: the difference in {key} must be [baseline's value, arm's value], got {pair!r}.")
    return pair[0], pair[1]

"""ablation.json, the record of a whole ablation, finished or not: frozen records, and their way to the file and back."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from vitcli.records.arm import Arm, read_arm
from vitcli.records.conditions import Budget, read_budget
from vitcli.records.json_files import (
    FORMAT,
    RecordError,
    get,
    get_counts,
    get_number,
    get_optional,
    read_record,
    write_json,
)
from vitcli.records.reports import Report, read_looks, reports_in, with_report
from vitcli.records.speed import Speed, read_speed
from vitcli.records.trial import RESULT, Trial, read_trial

ABLATION = "ablation.json"
MEANS = "mean"
"""The folder beside the arms' folders that holds the curves averaged over the seeds; no arm can have this name."""

Pairing = Literal["estimated", "seeds", "none"]
"""How seeds are compared; see ``vitcli.statistics.against_baseline``."""


@dataclass(frozen=True)
class Metric:
    """The metric that decides: its name, and whether a larger (``max``) or a smaller (``min``) value is better."""

    name: str
    direction: Literal["max", "min"]

    @property
    def sign(self) -> int:
        """+1 if a larger value is better, else -1."""
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True)
class Ablation:
    """One question with its arms.

    Args:
        directory: Where the records are.
        name: Name of the ablation.
        question: What is asked.
        source: Which paper's table asks it.
        baseline: Name of the arm that the others are compared with.
        metric: The metric that decides.
        seeds: The planned seeds of every arm but the baseline.
        baseline_seeds: Those of the baseline, which may have more; empty if it has the same.
        pairing: How seeds are compared.
        margin: The smallest difference that matters, in the metric's unit; None if none was declared.
        looks: Seeds of an arm at each look that was declared before the run; empty without such looks.
        reports: The reports so far, oldest first. A report of the same trials as the one before is no further look.
        command: The command that ran it.
        versions: Package -> version.
        machine: Property of the machine -> value.
        arms: In the file's order.
        levels: Arm -> factor -> level, for the arms that were made from factors.
        budget: What every arm may spend; None if that was not recorded.
        dropped: Arm -> why it got no further seeds: racing stopped it, or a declared look decided it.
        unplanned: Results found under an arm or seed that the plan does not have.
        speed: Speeds measured under equal conditions; None if none were measured.
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
    baseline_seeds: tuple[int, ...] = ()
    pairing: Pairing = "estimated"
    margin: float | None = None
    looks: tuple[int, ...] = ()
    reports: tuple[Report, ...] = ()
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    budget: Budget | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)
    unplanned: tuple[Trial, ...] = ()
    speed: Speed | None = None

    def arm(self, name: str) -> Arm:
        """The arm called ``name``."""
        return next(arm for arm in self.arms if arm.name == name)

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """The planned seeds of one arm."""
        return self.baseline_seeds or self.seeds if arm == self.baseline else self.seeds

    @property
    def not_used(self) -> tuple[Trial, ...]:
        """Every trial that no statistic uses, in the arms' order, the unplanned ones last."""
        planned = (trial for arm in self.arms for trial in arm.trials if trial.status != "done")
        return (*planned, *self.unplanned)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The main metric, then every other metric that a done trial has."""
        names = dict.fromkeys(name for arm in self.arms for trial in arm.done for name in trial.metrics)
        return tuple(dict.fromkeys([self.metric.name, *names]))


def save(ablation: Ablation) -> None:
    """Write ablation.json into the ablation's directory; trials and speeds are in files of their own.

    Raises:
        OSError: The file cannot be written; an older one stays.
    """
    content = {
        "format": FORMAT,
        "name": ablation.name,
        "question": ablation.question,
        "source": ablation.source,
        "baseline": ablation.baseline,
        "metric": asdict(ablation.metric),
        "seeds": list(ablation.seeds),
        "baseline_seeds": list(ablation.baseline_seeds),
        "pairing": ablation.pairing,
        "margin": ablation.margin,
        "looks": list(ablation.looks),
        "reports": [asdict(report) for report in ablation.reports],
        "command": ablation.command,
        "versions": dict(ablation.versions),
        "machine": dict(ablation.machine),
        "arms": {
            arm.name: {
                "id": arm.id,
                "difference": {key: list(pair) for key, pair in arm.difference.items()},
                "parameters": arm.parameters,
                "macs": arm.macs,
                **({"label": arm.label} if arm.label else {}),
            }
            for arm in ablation.arms
        },
        "levels": ablation.levels,
        "budget": None if ablation.budget is None else asdict(ablation.budget),
        "dropped": dict(ablation.dropped),
    }
    write_json(ablation.directory / ABLATION, content)


def record_report(ablation: Ablation, at: str) -> Ablation:
    """Add a report of the trials that are done to the record, and save it; the same trials are not added twice.

    Args:
        ablation: The ablation, as it was loaded.
        at: Date and time.

    Raises:
        OSError: The file cannot be written; an older one stays.
    """
    report = Report(at, {arm.name: len(arm.done) for arm in ablation.arms}, ablation.looks)
    recorded = replace(ablation, reports=with_report(ablation.reports, report))
    if recorded != ablation:
        save(recorded)
    return recorded


def load(directory: str | Path) -> Ablation:
    """Read an ablation, finished or not.

    Args:
        directory: ``runs/<name>``, which holds ``ablation.json`` and ``<arm>/seed<k>/result.json``.

    Raises:
        RecordError: A file is missing, cut short, of another format, or in another trial's directory.
    """
    root = Path(directory)
    path = root / ABLATION
    content = read_record(path)
    planned = Ablation(
        directory=root,
        name=get(content, "name", str, path),
        question=str(content.get("question", "")),
        source=str(content.get("source", "")),
        baseline=get(content, "baseline", str, path),
        metric=_metric(content, path),
        seeds=_seeds({"seeds": get(content, "seeds", list, path)}, "seeds", path),
        baseline_seeds=_seeds(content, "baseline_seeds", path),
        pairing=_pairing(content, path),
        margin=None if content.get("margin") is None else get_number(content, "margin", path),
        looks=read_looks(content, path),
        reports=reports_in(content, path),
        command=str(content.get("command", "")),
        versions=get_optional(content, "versions", dict, path) or {},
        machine=get_optional(content, "machine", dict, path) or {},
        arms=tuple(read_arm(name, arm, path) for name, arm in get(content, "arms", dict, path).items()),
        levels=_levels(content, path),
        budget=read_budget(content, path),
        dropped={name: str(why) for name, why in (get_optional(content, "dropped", dict, path) or {}).items()},
    )
    names = [arm.name for arm in planned.arms]
    if planned.baseline not in names:
        raise RecordError(f"{path}: the baseline {planned.baseline} is not one of the arms {', '.join(names)}.")
    return replace(
        planned,
        arms=tuple(replace(arm, trials=_trials(planned, arm)) for arm in planned.arms),
        unplanned=_unplanned(planned),
        speed=read_speed(root),
    )


def _seeds(content: dict[str, Any], key: str, path: Path) -> tuple[int, ...]:
    seeds = get_counts(content, key, path)
    if len(set(seeds)) < len(seeds):
        raise RecordError(f"{path}: {key} must hold different seeds, got {list(seeds)}.")
    return seeds


def _pairing(content: dict[str, Any], path: Path) -> Pairing:
    pairing = get_optional(content, "pairing", str, path) or "estimated"
    if pairing not in ("estimated", "seeds", "none"):
        raise RecordError(f"{path}: pairing must be estimated, seeds or none, got {pairing}.")
    return cast(Pairing, pairing)


def _metric(content: dict[str, Any], path: Path) -> Metric:
    record = get(content, "metric", dict, path)
    direction = get(record, "direction", str, path)
    if direction not in ("max", "min"):
        raise RecordError(f"{path}: the metric's direction must be max or min, got {direction}.")
    return Metric(get(record, "name", str, path), cast(Literal["max", "min"], direction))


def _levels(content: dict[str, Any], path: Path) -> dict[str, dict[str, str]]:
    record = get_optional(content, "levels", dict, path) or {}
    found = {arm: get(record, arm, dict, path) for arm in record}
    return {arm: {str(factor): str(level) for factor, level in levels.items()} for arm, levels in found.items()}


def _trials(ablation: Ablation, arm: Arm) -> tuple[Trial, ...]:
    """Return the arm's trial of every planned seed; without a result, those of an arm that was stopped are dropped."""
    found = [
        read_trial(ablation.directory, arm.name, seed, arm.id, ablation.metric.name)
        for seed in ablation.seeds_of(arm.name)
    ]
    if arm.name not in ablation.dropped:
        return tuple(found)
    cause = "not needed after an earlier look" if ablation.looks else "racing stopped the arm before this seed"
    return tuple(
        replace(trial, status="dropped", cause=cause) if trial.status == "unfinished" else trial for trial in found
    )


def _unplanned(ablation: Ablation) -> tuple[Trial, ...]:
    planned = {(arm.name, seed) for arm in ablation.arms for seed in ablation.seeds_of(arm.name)}
    found = []
    for path in sorted(ablation.directory.glob(f"*/seed*/{RESULT}")):
        match = re.fullmatch(r"seed(\d+)", path.parent.name)
        arm = path.parent.parent.name
        if match and (arm, int(match[1])) not in planned:
            cause = f"{ABLATION} has no such arm or seed"
            found.append(Trial(arm, int(match[1]), path.parent, "unplanned", cause))
    return tuple(found)

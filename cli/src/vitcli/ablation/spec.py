"""The ``ablation`` section of a configuration: which arms, which seeds, what is compared, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vitcli.ablation import entries
from vitcli.ablation.entries import Budget, Metric, StopEarly
from vitcli.ablation.factors import expand_factors
from vitcli.config.errors import ConfigError, nearest, refuse_non_finite
from vitcli.records.ablation import MEANS

MOST_TRIALS = 100_000
"""Arms times seeds at most: more is a slip."""


DEPTH = {"arms": 1, "factors": 2}
"""How many names below these lies what a later file replaces whole: an arm, a level of a factor."""


@dataclass(frozen=True)
class AblationSpec:
    """Arms times seeds.

    Args:
        baseline: The arm that the others are compared with.
        arms: For each arm, the keys that it changes in the configuration, and their values.
        seeds: Replicates 0 .. seeds - 1, the same for every arm.
        metric: What is compared.
        question: The question, for the report.
        source: Where it was asked first.
        only: Arms to run; all if empty. The report still compares with the baseline if its trials are there.
        exclude: Arms not to run.
        workers: Trials at a time; 0 for as many as cores divided by threads, or one a GPU.
        budget: What every arm may spend alike: epochs, training time or multiply-adds; see ``vitcli.ablation.budget``.
        retry: ``failed`` to run failed trials again.
        launcher: Where trials run: ``name`` and that launcher's options.
        stop_early: When arms are stopped that are behind; None for never.
        levels: The level of each factor, for the arms that factors made.
    """

    baseline: str
    arms: dict[str, dict[str, Any]]
    seeds: int = 5
    metric: Metric = field(default_factory=Metric)
    question: str = ""
    source: str = ""
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    workers: int = 0
    budget: Budget = "epochs"
    retry: tuple[str, ...] = ()
    launcher: dict[str, Any] = field(default_factory=lambda: {"name": "local"})
    stop_early: StopEarly | None = None
    levels: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def chosen(self) -> list[str]:
        """Arms to run, in the file's order."""
        return [name for name in self.arms if name not in self.exclude and (not self.only or name in self.only)]


def merge_sections(sections: Sequence[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Merge ``ablation`` sections: arms and levels by name, later ones win one by one; anything else is replaced.

    A dotted key reaches into an arm, a level, the metric, the launcher or when to stop: ``arms.h_swish.trainer.max_epochs``,
    ``metric.direction``. Another launcher's name drops the options of the one before.

    Returns:
        The merged section, and for each of its keys and each ``arms.NAME`` the place that set it last.
    """
    merged: dict[str, Any] = {}
    places: dict[str, str] = {}
    for place, section in sections:
        if not isinstance(section, Mapping):
            raise ConfigError(f"{place}: ablation is {section!r}; expected a section with baseline and arms.")
        for key, value in section.items():
            refuse_non_finite(place, f"ablation.{key}", value)
            name, _, inner = str(key).partition(".")
            places[name] = place
            if name in DEPTH and (inner or isinstance(value, Mapping)):
                names = inner.split(".") if inner else []
                merged[name] = _laid(merged.get(name), names, value, DEPTH[name])
                places |= {f"{name}.{one}": place for one in names[:1] or value}
            elif name in ("metric", "launcher", "stop_early") and inner:
                old = _opened(name, merged.get(name), f"{place}: ablation.{key}")
                kept = {} if (name, inner) == ("launcher", "name") and old.get("name") != value else old
                merged[name] = {**kept, inner: value}
            else:
                merged[str(key)] = value
    return merged, places


def _laid(old: Any, names: list[str], value: Any, depth: int) -> Any:
    """Lay ``value`` over ``old`` at a dotted key: what lies ``depth`` names below is replaced whole, or changed in one key."""
    before = old if isinstance(old, Mapping) else {}
    if depth == 0:
        return {**before, ".".join(names): value} if names else value
    if names:
        return {**before, names[0]: _laid(before.get(names[0]), names[1:], value, depth - 1)}
    if not isinstance(value, Mapping):
        return value
    return {**before, **{name: _laid(before.get(name), [], inner, depth - 1) for name, inner in value.items()}}


def _opened(name: str, old: Any, key: str) -> dict[str, Any]:
    """Return what is set in ``metric``, ``launcher`` or ``stop_early`` so far, where a word stands for its name."""
    if isinstance(old, str) and name != "stop_early":
        return {"name": old}
    if old is not None and not isinstance(old, Mapping):
        raise ConfigError(f"{key} goes through ablation.{name}, which is {old!r} and has no entries.")
    return dict(old or {})


def read_spec(section: Mapping[str, Any], places: Mapping[str, str], place: str) -> AblationSpec:
    """Return the merged section as a spec.

    Args:
        section: What was set.
        places: Where each key was set.
        place: Where to look for a key that was not.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type, or an arm does not exist.
    """
    known = [*(f.name for f in fields(AblationSpec) if f.name != "levels"), "factors", "design"]
    for key in section:
        if key not in known:
            at = places.get(key.partition(".")[0], place)
            raise ConfigError(f"{at}: ablation.{key} is set, but ablation has no entry {key!r}{nearest(key, known)}")
    section = expand_factors(section, places, place)

    def where(key: str) -> str:
        return places.get(key, place)

    arms = _arms(section.get("arms"), places, place)
    seeds = entries.whole("seeds", section.get("seeds", 5), 1, where("seeds"))
    if seeds * len(arms) > MOST_TRIALS:
        raise ConfigError(
            f"{where('seeds')}: ablation.seeds is {seeds:,} with {len(arms):,} arms, {seeds * len(arms):,} trials; "
            f"expected at most {MOST_TRIALS:,}."
        )
    spec = AblationSpec(
        baseline=_baseline(section.get("baseline"), arms, where("baseline")),
        arms=arms,
        seeds=seeds,
        metric=entries.metric(section.get("metric", {}), where("metric")),
        question=entries.text("question", section.get("question"), where("question")),
        source=entries.text("source", section.get("source"), where("source")),
        only=entries.names("only", section.get("only"), where("only")),
        exclude=entries.names("exclude", section.get("exclude"), where("exclude")),
        workers=entries.whole("workers", section.get("workers", 0), 0, where("workers")),
        budget=entries.budget(section.get("budget", "epochs"), where("budget")),
        retry=entries.retry(section.get("retry"), where("retry")),
        launcher=entries.launcher(section.get("launcher", "local"), where("launcher")),
        stop_early=entries.stop_early(section.get("stop_early"), seeds, where("stop_early")),
        levels=section["levels"],
    )
    for key, named in (("only", spec.only), ("exclude", spec.exclude)):
        for name in named:
            if name not in arms:
                raise ConfigError(f"{where(key)}: ablation.{key} names {name!r}, which is no arm{nearest(name, arms)}")
    if not spec.chosen:
        key = "exclude" if spec.exclude else "only"
        raise ConfigError(f"{where(key)}: ablation.{key} leaves no arm to run; name fewer.")
    return spec


def ablation_name(files: list[str]) -> str:
    """Return the name of the ablation's directory: the stem of its first file."""
    return Path(files[0]).stem


def _baseline(name: Any, arms: Mapping[str, Any], place: str) -> str:
    if name is None:
        raise ConfigError(f"{place}: ablation.baseline is missing; name the arm that the others are compared with.")
    if not isinstance(name, str) or name not in arms:
        raise ConfigError(f"{place}: ablation.baseline names {name!r}, which is no arm{nearest(str(name), arms)}")
    return name


def _arms(arms: Any, places: Mapping[str, str], place: str) -> dict[str, dict[str, Any]]:
    if not isinstance(arms, Mapping) or not arms:
        raise ConfigError(
            f"{places.get('arms', place)}: ablation.arms is {'missing' if arms is None else repr(arms)}; "
            "expected arms, each a name and the keys that it changes."
        )
    folders: dict[str, str] = {}
    for name, change in arms.items():
        at = places.get(f"arms.{name}", places.get("factors", place))
        if name == MEANS:
            raise ConfigError(
                f"{at}: ablation.arms has an arm named {name!r}, a folder of the report; name it otherwise."
            )
        if not entries.good_name(name):
            raise ConfigError(
                f"{at}: ablation.arms has an arm named {name!r}; use letters, digits, _ and -, "
                "in quotes where YAML reads a word as something else (it names a folder)."
            )
        if folders.setdefault(name.lower(), name) != name:
            raise ConfigError(
                f"{at}: ablation.arms has arms named {folders[name.lower()]!r} and {name!r}, "
                "one folder on some machines; name one otherwise."
            )
        if change is not None and not isinstance(change, Mapping):
            raise ConfigError(
                f"{at}: ablation.arms.{name} is {change!r}; expected keys and the values that the arm gives them."
            )
    return {name: dict(change or {}) for name, change in arms.items()}

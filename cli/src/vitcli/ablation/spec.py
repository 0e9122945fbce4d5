"""The ``ablation`` section of a configuration: which arms, which seeds, what is compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from vitcli.ablation.factors import expand_factors
from vitcli.errors import ConfigError, nearest

REPORTED = "mean"
"""The folder beside the arms that the report writes."""


@dataclass(frozen=True)
class Metric:
    """What is compared."""

    name: str = "test/acc1"
    direction: Literal["max", "min"] = "max"


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

    @property
    def chosen(self) -> list[str]:
        """Arms to run, in the file's order."""
        return [name for name in self.arms if name not in self.exclude and (not self.only or name in self.only)]


def merge_sections(sections: Sequence[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Merge ``ablation`` sections: arms by name, later ones win arm by arm; anything else is replaced.

    A dotted key reaches into an arm or the metric: ``arms.h_swish.trainer.max_epochs``, ``metric.direction``.

    Returns:
        The merged section, and for each of its keys and each ``arms.NAME`` the place that set it last.
    """
    merged: dict[str, Any] = {}
    places: dict[str, str] = {}
    for place, section in sections:
        if not isinstance(section, Mapping):
            raise ConfigError(f"{place}: ablation is {section!r}; expected a section with baseline and arms.")
        for key, value in section.items():
            name, _, inner = str(key).partition(".")
            places[name] = place
            if name == "arms" and (inner or isinstance(value, Mapping)):
                arms = merged["arms"] if isinstance(merged.get("arms"), Mapping) else {}
                changed = _arm(arms, inner, value) if inner else value
                merged["arms"] = {**arms, **changed}
                places |= {f"arms.{arm}": place for arm in changed}
            elif name == "metric" and inner:
                old = merged.get("metric", {})
                merged["metric"] = {**({"name": old} if isinstance(old, str) else old or {}), inner: value}
            else:
                merged[str(key)] = value
    return merged, places


def _arm(arms: Mapping[str, Any], inner: str, value: Any) -> dict[str, Any]:
    arm, _, key = inner.partition(".")
    return {arm: {**(arms.get(arm) or {}), key: value} if key else value}


def read_spec(section: Mapping[str, Any], places: Mapping[str, str], place: str) -> AblationSpec:
    """Return the merged section as a spec.

    Args:
        section: What was set.
        places: Where each key was set.
        place: Where to look for a key that was not.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type, or an arm does not exist.
    """
    known = [*(f.name for f in fields(AblationSpec)), "factors", "design"]
    for key in section:
        if key not in known:
            at = places.get(key.partition(".")[0], place)
            raise ConfigError(f"{at}: ablation.{key} is set, but ablation has no entry {key!r}{nearest(key, known)}")
    section = expand_factors(section, places, place)
    arms = section.get("arms")
    if not isinstance(arms, Mapping) or not arms:
        raise ConfigError(
            f"{places.get('arms', place)}: ablation.arms is {arms!r}; "
            "expected arms, each a name and the keys that it changes."
        )
    for name, change in arms.items():
        at = places.get(f"arms.{name}", place)
        if name == REPORTED:
            raise ConfigError(
                f"{at}: ablation.arms has an arm named {name!r}, a folder of the report; name it otherwise."
            )
        if not isinstance(name, str) or not name or set(name) & set('/\\:*?"<>| ') or name.startswith("."):
            raise ConfigError(
                f"{at}: ablation.arms has an arm named {name!r}; use letters, digits, _ and - (it names a folder)."
            )
        if change is not None and not isinstance(change, Mapping):
            raise ConfigError(
                f"{at}: ablation.arms.{name} is {change!r}; expected keys and the values that the arm gives them."
            )
    values = {**section, "arms": {name: dict(change or {}) for name, change in arms.items()}}
    values["seeds"] = _whole("seeds", section.get("seeds", 5), 1, places.get("seeds", place))
    values["workers"] = _whole("workers", section.get("workers", 0), 0, places.get("workers", place))
    values["metric"] = _metric(section.get("metric", {}), places.get("metric", place))
    for key in ("only", "exclude"):
        values[key] = _names(key, section.get(key), places.get(key, place))
    for key in ("question", "source"):
        values[key] = str(section.get(key) or "")
    for key, names in (
        ("baseline", (section.get("baseline"),)),
        ("only", values["only"]),
        ("exclude", values["exclude"]),
    ):
        for name in names:
            if name not in values["arms"]:
                raise ConfigError(
                    f"{places.get(key, place)}: ablation.{key} names {name!r}, "
                    f"which is no arm{nearest(str(name), values['arms'])}"
                )
    return AblationSpec(**values)


def ablation_name(files: list[str]) -> str:
    """Return the name of the ablation's directory: the stem of its first file."""
    return Path(files[0]).stem


def _whole(key: str, value: Any, least: int, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{place}: ablation.{key} is {value!r}; expected a whole number of at least {least}.")
    return value


def _names(key: str, value: Any, place: str) -> tuple[str, ...]:
    names = value.replace(",", " ").split() if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{place}: ablation.{key} is {value!r}; expected names of arms, such as relu6,h_swish.")
    return tuple(names)


def _metric(value: Any, place: str) -> Metric:
    if isinstance(value, str):
        value = {"name": value}
    if (
        not isinstance(value, Mapping)
        or set(value) - {"name", "direction"}
        or not isinstance(value.get("name", ""), str)
    ):
        raise ConfigError(
            f"{place}: ablation.metric is {value!r}; expected name (such as test/acc1) and direction (max or min)."
        )
    metric = Metric(**value)
    if metric.direction not in ("max", "min"):
        raise ConfigError(f"{place}: ablation.metric.direction is {metric.direction!r}; expected max or min.")
    return metric

"""The ``ablation`` section of a configuration: which arms, which seeds, what is compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from vitcli.errors import ConfigError, nearest


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
        workers: Trials at a time; 0 for as many as cores divided by threads, or one a GPU.
    """

    baseline: str
    arms: dict[str, dict[str, Any]]
    seeds: int = 5
    metric: Metric = field(default_factory=Metric)
    question: str = ""
    source: str = ""
    only: tuple[str, ...] = ()
    workers: int = 0

    @property
    def chosen(self) -> list[str]:
        """Arms to run, in the file's order."""
        return [name for name in self.arms if not self.only or name in self.only]


def merge_sections(sections: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Merge ``ablation`` sections of several files: arms by name, later wins arm by arm; anything else is replaced."""
    merged: dict[str, Any] = {}
    for place, section in sections:
        if not isinstance(section, Mapping):
            raise ConfigError(f"{place}: ablation is {section!r}; expected a section with baseline and arms.")
        for key, value in section.items():
            if key == "arms" and isinstance(value, Mapping) and isinstance(merged.get("arms"), Mapping):
                merged["arms"] = {**merged["arms"], **value}
            else:
                merged[key] = value
    return merged


def read_spec(section: Mapping[str, Any], place: str) -> AblationSpec:
    """Return the section as a spec.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type, or an arm does not exist.
    """
    known = [f.name for f in fields(AblationSpec)]
    for key in section:
        if key not in known:
            raise ConfigError(f"{place}: ablation.{key} has no entry {key!r} in ablation{nearest(str(key), known)}")
    arms = section.get("arms")
    if not isinstance(arms, Mapping) or not arms:
        raise ConfigError(
            f"{place}: ablation.arms is {arms!r}; expected at least two arms, each a name and what it changes."
        )
    for name, change in arms.items():
        if not isinstance(name, str) or not name or set(name) & set('/\\:*?"<>| ') or name.startswith("."):
            raise ConfigError(
                f"{place}: ablation.arms has an arm named {name!r}; use letters, digits, _ and - (it names a folder)."
            )
        if change is not None and not isinstance(change, Mapping):
            raise ConfigError(
                f"{place}: ablation.arms.{name} is {change!r}; expected keys and the values that the arm gives them."
            )
    values = {**section, "arms": {name: dict(change or {}) for name, change in arms.items()}}
    values["seeds"] = _whole("seeds", section.get("seeds", 5), 1, place)
    values["workers"] = _whole("workers", section.get("workers", 0), 0, place)
    values["metric"] = _metric(section.get("metric", {}), place)
    only = section.get("only") or ()
    values["only"] = tuple(str(only).replace(",", " ").split()) if isinstance(only, str) else tuple(only)
    for key in ("question", "source"):
        values[key] = str(section.get(key, ""))
    for key, names in (("baseline", (section.get("baseline"),)), ("only", values["only"])):
        for name in names:
            if name not in values["arms"]:
                raise ConfigError(
                    f"{place}: ablation.{key} names {name!r}, which is no arm{nearest(str(name), values['arms'])}"
                )
    return AblationSpec(**values)


def ablation_name(files: list[str]) -> str:
    """Return the name of the ablation's directory: the stem of its first file."""
    return Path(files[0]).stem


def _whole(key: str, value: Any, least: int, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{place}: ablation.{key} is {value!r}; expected a whole number of at least {least}.")
    return value


def _metric(value: Any, place: str) -> Metric:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or set(value) - {"name", "direction"}:
        raise ConfigError(
            f"{place}: ablation.metric is {value!r}; expected name (such as test/acc1) and direction (max or min)."
        )
    metric = Metric(**value)
    if metric.direction not in ("max", "min"):
        raise ConfigError(f"{place}: ablation.metric.direction is {metric.direction!r}; expected max or min.")
    return metric

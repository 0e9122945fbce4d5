"""What the entries of an ``ablation`` section may be, checked one by one."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from vitcli.config.errors import ConfigError, alike, nearest

Budget = Literal["epochs", "training_time", "macs"]
LAUNCHERS = ("local", "slurm", "ray", "submitit_local")
FEWEST = 3
"""Seeds before an arm may be stopped: with two, a small p-value means that two differences happen to be alike."""

FORBIDDEN = re.compile(r'[/\\:*?"<>|\s\x00-\x1f]|^\.|^-|^$')


@dataclass(frozen=True)
class Metric:
    """What is compared."""

    name: str = "test/acc1"
    direction: Literal["max", "min"] = "max"


@dataclass(frozen=True)
class StopEarly:
    """When arms are stopped that are behind; see ``vitcli.statistics.sequential``.

    Args:
        after: Seeds before the first look.
        level: Chance, over all looks, that any arm is stopped that is not worse than the baseline.
    """

    after: int
    level: float = 0.05


def good_name(name: Any) -> bool:
    """Whether a name can be that of a folder."""
    return isinstance(name, str) and not FORBIDDEN.search(name)


def whole(key: str, value: Any, least: int, place: str) -> int:
    """Return a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{place}: ablation.{key} is {value!r}; expected a whole number of at least {least}.")
    return value


def names(key: str, value: Any, place: str) -> tuple[str, ...]:
    """Return names of arms, given as a list or as text with commas."""
    found = value.replace(",", " ").split() if isinstance(value, str) else [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ConfigError(f"{place}: ablation.{key} is {value!r}; expected names of arms, such as relu6,h_swish.")
    return tuple(found)


def text(key: str, value: Any, place: str) -> str:
    """Return words."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        raise ConfigError(f"{place}: ablation.{key} is {value!r}; expected text.")
    return "" if value is None else str(value)


def metric(value: Any, place: str) -> Metric:
    """Return the metric, given by its name or by name and direction."""
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("name", ""), str) or value.get("name") == "":
        raise ConfigError(
            f"{place}: ablation.metric is {value!r}; expected name (such as test/acc1) and direction (max or min)."
        )
    _refuse_unknown("metric", value, ("name", "direction"), place)
    found = Metric(**value)
    if found.direction not in ("max", "min"):
        raise ConfigError(f"{place}: ablation.metric.direction is {found.direction!r}; expected max or min.")
    return found


def budget(value: Any, place: str) -> Budget:
    """Return what is equal across arms."""
    return _word("budget", value, get_args(Budget), place)


def retry(value: Any, place: str) -> tuple[str, ...]:
    """Return which trials run again: ``failed`` ones, or none."""
    words = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(words, list):
        raise ConfigError(f"{place}: ablation.retry is {value!r}; expected failed.")
    return tuple(_word("retry", word, ("failed",), place) for word in words)


def launcher(value: Any, place: str) -> dict[str, Any]:
    """Return where trials run, given by its name or by name and options; the options are the launcher's to check."""
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{place}: ablation.launcher is {value!r}; expected one of {', '.join(LAUNCHERS)}, or name and its options."
        )
    if "name" not in given:
        raise ConfigError(
            f"{place}: ablation.launcher has options {', '.join(map(str, given))} but no name; "
            f"expected name: {', '.join(LAUNCHERS)}."
        )
    _word("launcher.name", given["name"], LAUNCHERS, place)
    return {str(key): inner for key, inner in given.items()}


def stop_early(value: Any, seeds: int, place: str) -> StopEarly | None:
    """Return when arms are stopped that are behind; None for never."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or "after" not in value:
        raise ConfigError(
            f"{place}: ablation.stop_early is {value!r}; expected after (seeds before the first look) and level (0.05)."
        )
    _refuse_unknown("stop_early", value, ("after", "level"), place)
    after, level = whole("stop_early.after", value["after"], FEWEST, place), value.get("level", 0.05)
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ConfigError(f"{place}: ablation.stop_early.level is {level!r}; expected a number between 0 and 1.")
    if after >= seeds:
        raise ConfigError(
            f"{place}: ablation.stop_early.after is {after} of {seeds} seeds, which leaves none to save; "
            "take fewer, or more seeds."
        )
    return StopEarly(after, float(level))


def _word(key: str, value: Any, words: Collection[str], place: str) -> Any:
    if value not in words:
        raise ConfigError(f"{place}: ablation.{key} is {value!r}; expected {', '.join(words)}{alike(value, words)}")
    return value


def _refuse_unknown(key: str, value: Mapping[Any, Any], known: Collection[str], place: str) -> None:
    for name in value:
        if name not in known:
            raise ConfigError(
                f"{place}: ablation.{key}.{name} is set, but ablation.{key} has no entry {name!r}"
                f"{nearest(str(name), known)}"
            )

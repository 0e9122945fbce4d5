"""Reading the ``ablation`` section: those of all files and of the command line, merged and checked, become one spec."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import vitcli
from vitcli.ablation.launch.launcher import Launcher
from vitcli.ablation.planning.checks.idle_arms import refuse_repeated_keys
from vitcli.ablation.planning.factors import expand_factors
from vitcli.ablation.planning.first_look import GROUPS, refuse_seeds
from vitcli.ablation.planning.plan import Plan
from vitcli.ablation.planning.spec import AblationSpec, launcher_class, launcher_name
from vitcli.config.defaults import complete
from vitcli.config.errors import ConfigError, alike, refuse_non_finite
from vitcli.config.names import folder_key, name_fault
from vitcli.config.overlay import lay_over
from vitmodels.skeletons.entries import Entry, dataclass_entries

DEPTH = {"arms": 1, "factors": 2}
"""How many names below these lies what a later file replaces whole: an arm, a level of a factor."""

ENTRIES = {
    **{name: entry for name, entry in (dataclass_entries(AblationSpec) or {}).items() if name != "levels"},
    "launcher": Entry(Callable[[Plan], Launcher]),
    "factors": Entry(dict),
    "design": Entry(Any),
}
"""What can be set in the section."""

LAUNCHERS = [launcher_name(f"vitcli.{name}") for name in vitcli.MODULES if name != "Launcher"]
"""The words that stand for a launcher."""


def read_spec(sections: Sequence[tuple[str, Any]], place: str) -> tuple[AblationSpec, dict[str, str]]:
    """Return the spec that ``ablation`` sections make, and where each of its entries comes from.

    Sections are laid over each other as everything else in a configuration is (``vitcli.config.overlay``), with these
    exceptions. Arms and levels of factors are merged by name, and a later one replaces an earlier one whole, unless a dotted
    key reaches into it (``arms.h_swish.trainer.max_epochs``). ``metric`` and ``stop_early`` without a dot are replaced whole.

    Args:
        sections: Pairs (place, section) in order; a section may have dotted keys.
        place: Where to look for an entry that was not set, for messages.

    Returns:
        The spec; and the place that set each entry and each ``arms.NAME`` last.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type or is out of range, or an arm does not exist.
    """
    section: dict[str, Any] = {}
    places: dict[str, str] = {}
    for at, values in sections:
        if not isinstance(values, Mapping):
            raise ConfigError(f"{at}: ablation is {values!r}; expected a section with baseline and arms.")
        _refuse_twice(values, at)
        for key, value in values.items():
            name, _, inner = str(key).partition(".")
            places[name.removesuffix("+")] = at
            if name in DEPTH:
                refuse_non_finite(at, f"ablation.{key}", value)
                names = inner.split(".") if inner else []
                section[name] = _merge(section.get(name), names, value, DEPTH[name])
                places |= {f"{name}.{one}": at for one in names[:1] or (value if isinstance(value, Mapping) else ())}
            else:
                _lay(section, name, inner, value, at)
    section = expand_factors(section, places, place)
    section["arms"] = _check_arms(section.get("arms"), places, place)
    if section.get("baseline") is None:
        at = places.get("baseline", place)
        raise ConfigError(f"{at}: ablation.baseline is missing; name the arm that the others are compared with.")
    return _make_spec(section, places, place), places


def _merge(old: Any, names: list[str], value: Any, depth: int) -> Any:
    """Lay ``value`` over ``old`` at a dotted key: what lies ``depth`` names below is replaced whole, or changed in one key."""
    before = old if isinstance(old, Mapping) else {}
    if depth == 0:
        return {**before, ".".join(names): value} if names else value
    if names:
        return {**before, names[0]: _merge(before.get(names[0]), names[1:], value, depth - 1)}
    if not isinstance(value, Mapping):
        return value
    return {**before, **{name: _merge(before.get(name), [], inner, depth - 1) for name, inner in value.items()}}


def _refuse_twice(values: Mapping[str, Any], place: str) -> None:
    """Stop if a section sets one key of an arm, or of a factor's level, in two spellings."""
    changes: dict[str, list[Mapping[str, Any]]] = {}
    for key, value in values.items():
        name, *names = str(key).split(".")
        for owner, change in _changes(names, value, DEPTH[name]) if name in DEPTH else ():
            changes.setdefault(".".join((name, *owner)), []).append(change)
    for owned, found in changes.items():
        refuse_repeated_keys(found, f"{place}: ablation.{owned}")


def _changes(names: list[str], value: Any, depth: int) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    """Yield what a section sets in each arm (depth 1) or level (depth 2), with the names on the way to it."""
    if len(names) > depth:
        yield names[:depth], {".".join(names[depth:]): value}
    elif isinstance(value, Mapping) and len(names) == depth:
        yield names, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _changes([*names, str(name)], inner, depth)


def _lay(section: dict[str, Any], name: str, inner: str, value: Any, place: str) -> None:
    """Lay the value of one entry over the section, with short forms written out."""
    if name in ("metric", "stop_early") and not inner:
        section.pop(name, None)
    if name == "launcher":
        inner, value = "", _launcher(section.get(name), inner, value, place)
    elif name == "seeds" and not inner:
        value = _seeds(value, place)
    elif not inner:
        value = _long_form(name.removesuffix("+"), value, place)
    if value is None and name in ("baseline", "stop_early"):
        section.pop(name, None)
        return
    if value == {} and name == "stop_early":  # an empty group: what it needs is then named as missing
        section[name] = {}
        return
    key = f"ablation.{name}.{inner}" if inner else f"ablation.{name}"
    lay_over({"ablation": section}, {"ablation": Entry(dict, group=ENTRIES)}, {key: value}, place)


def _long_form(name: str, value: Any, place: str) -> Any:
    """Return the value that a short form stands for, such as a list of arms for text with commas."""
    if name in ("question", "source"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if value is None else str(value) if number else value
    if name == "looks":
        return [] if value is None else value
    if name in ("only", "exclude", "retry"):
        names = value.replace(",", " ").split() if isinstance(value, str) else value
        if names == [] and isinstance(value, str):
            raise ConfigError(
                f"{place}: ablation.{name} is {value!r}, which names nothing; write names, or leave it out."
            )
        return [] if names is None else names if isinstance(names, list | Mapping) else [names]
    return {"name": value} if name == "metric" and isinstance(value, str) else value


def _seeds(value: Any, place: str) -> Mapping[str, Any]:
    """Return the numbers of seeds that one number stands for."""
    refuse_seeds(place, value)
    return {"baseline": value, "arms": value} if isinstance(value, int) else value


def _launcher(old: Mapping[str, Any] | None, inner: str, value: Any, place: str) -> dict[str, Any]:
    """Return a launcher as a part: the class of the word that stands for it, and the options that are set."""
    options = {inner: value} if inner else dict(value) if isinstance(value, Mapping) else {"name": value}
    if "name" in options or "class_path" in options:
        class_path = _class_path(options.pop("name", options.pop("class_path", None)), place)
    elif old is not None:
        class_path = old["class_path"]
    else:
        raise ConfigError(
            f"{place}: ablation.launcher has options {', '.join(map(str, options))} but no name; "
            f"expected name: {', '.join(LAUNCHERS)}."
        )
    # Slurm's options may be written as submitit writes them, slurm_partition for partition.
    prefix = f"{launcher_name(class_path)}_"
    return {"class_path": class_path} | {str(key).removeprefix(prefix): option for key, option in options.items()}


def _class_path(name: Any, place: str) -> str:
    if isinstance(name, str) and "." in name:
        return name
    if name not in LAUNCHERS:
        raise ConfigError(
            f"{place}: ablation.launcher is {name!r}; expected {', '.join(LAUNCHERS)} or the import path of a launcher"
            f"{alike(name, LAUNCHERS)}"
        )
    return launcher_class(name)


def _check_arms(arms: Any, places: Mapping[str, str], place: str) -> dict[str, dict[str, Any]]:
    if not isinstance(arms, Mapping) or not arms:
        raise ConfigError(
            f"{places.get('arms', place)}: ablation.arms is {'missing' if arms is None else repr(arms)}; "
            "expected arms, each a name and the keys that it changes."
        )
    folders: dict[str, str] = {}
    for name, change in arms.items():
        at = places.get(f"arms.{name}", places.get("factors", place))
        if fault := name_fault(name):
            raise ConfigError(f"{at}: ablation.arms has an arm named {name!r}; {fault}")
        if folders.setdefault(folder_key(name), name) != name:
            raise ConfigError(
                f"{at}: ablation.arms has arms named {folders[folder_key(name)]!r} and {name!r}, "
                "which are the same folder on some machines; rename one of them."
            )
        if change is not None and not isinstance(change, Mapping):
            raise ConfigError(
                f"{at}: ablation.arms.{name} is {change!r}; expected keys and the values that the arm gives them."
            )
    return {name: dict(change or {}) for name, change in arms.items()}


def _make_spec(section: Mapping[str, Any], places: Mapping[str, str], place: str) -> AblationSpec:
    """Return the section as a spec, defaults filled in; a value out of range is refused with the place that set it."""
    values = dict(section)
    for name in values.keys() & {"launcher", *GROUPS}:
        schema = {"ablation": Entry(dict, group={name: ENTRIES[name]})}
        values[name] = complete({"ablation": {name: values[name]}}, schema, places[name])["ablation"][name]
    try:
        for name, kind in GROUPS.items():
            if name in values:
                values[name] = kind(**values[name])
        return AblationSpec(**values)
    except ValueError as error:
        entry = re.split(r"\W", str(error), maxsplit=1)[0]
        raise ConfigError(f"{places.get(entry, place)}: ablation.{error}") from error

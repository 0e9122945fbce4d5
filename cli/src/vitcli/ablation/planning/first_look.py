"""What can be found wrong in an ``ablation`` section before torch is imported, which takes seconds.

``vitcli.ablation.planning.section`` reads the section completely and says the same about these faults.
"""

import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from vitcli.ablation.planning.spec import AblationSpec, Metric, Seeds, StopEarly
from vitcli.config.command_line import Arguments
from vitcli.config.errors import ConfigError, nearest, refuse_words

GROUPS = {"metric": Metric, "seeds": Seeds, "stop_early": StopEarly}
"""The entries that have entries of their own."""

ENTRIES = (*(one.name for one in fields(AblationSpec) if one.name != "levels"), "factors", "design")
"""What can be set in the section."""


def look_at_section(arguments: Arguments) -> None:
    """Stop if the section has an unknown key, a word for a number, or the name of an arm that does not exist.

    Raises:
        ConfigError: It has, or does.
    """
    sections = arguments.ablation_sections()
    for place, values in sections:
        for key, value in values.items() if isinstance(values, Mapping) else ():
            _refuse_unknown(str(key).split("."), value, place)
    _refuse_unknown_arms(sections)


def _refuse_unknown(names: list[str], value: Any, place: str) -> None:
    """Stop at a key that nothing reads, in the section or in a group of it."""
    key, first = ".".join(("ablation", *names)), names[0].removesuffix("+")
    if first not in ENTRIES:
        raise ConfigError(f"{place}: {key} has no entry {first!r} in ablation{nearest(first, ENTRIES)}")
    if not names[1:]:
        _refuse_words(place, key, first, value)
    if first not in GROUPS:
        return
    known = [one.name for one in fields(GROUPS[first])]
    given = names[1:2] or ([str(name) for name in value] if isinstance(value, Mapping) else [])
    for name in given:
        if name not in known:
            inner = key if names[1:] else f"{key}.{name}"
            raise ConfigError(f"{place}: {inner} has no entry {name!r} in ablation.{first}{nearest(name, known)}")


def _refuse_words(place: str, key: str, name: str, value: Any) -> None:
    """Stop at a word where the section wants a number."""
    if name == "seeds":
        refuse_seeds(place, value)
    elif name in KINDS:
        refuse_words(place, key, value, KINDS[name])


KINDS = {
    one.name: [
        getattr(kind, "__name__", "").replace("NoneType", "null") for kind in typing.get_args(one.type) or (one.type,)
    ]
    for one in fields(AblationSpec)
}
"""The kinds of values that each entry takes."""


def refuse_seeds(place: str, value: Any) -> None:
    """Stop if a value is neither a number of seeds nor the two numbers.

    Raises:
        ConfigError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | Mapping):
        raise ConfigError(
            f"{place}: ablation.seeds is {value!r}; expected int, or the numbers of both: {{baseline: 10, arms: 5}}."
        )


def _refuse_unknown_arms(sections: Sequence[tuple[str, Any]]) -> None:
    """Stop if the baseline, or an arm to run or to leave out, is not an arm of the file; arms of factors are not known yet."""
    values = [
        (place, key, value)
        for place, section in sections
        if isinstance(section, Mapping)
        for key, value in section.items()
    ]
    arms: set[str] = set()
    for _, key, value in values:
        name, _, inner = str(key).partition(".")
        if name == "factors":
            return
        if name == "arms":
            arms |= {inner.split(".")[0]} if inner else set(map(str, value)) if isinstance(value, Mapping) else set()
    last = {key: (place, value) for place, key, value in values}
    for key in ("baseline", "only", "exclude"):
        place, value = last.get(key, ("", None))
        words = value.replace(",", " ").split() if isinstance(value, str) and key != "baseline" else value
        for name in words if isinstance(words, list) else [words] if isinstance(words, str) else []:
            if arms and name not in arms:
                raise ConfigError(
                    f"{place}: ablation.{key} names {name!r}, which is not an arm{nearest(str(name), arms)}"
                )

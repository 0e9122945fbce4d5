"""``vitcli fit --help KEY``: what can be set at a key of the configuration, its arguments, and the parts that fit there."""

import collections.abc
import importlib
import inspect
import textwrap
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from docstring_parser import parse

from vitcli.config.origin import Origin
from vitmodels.skeletons.entries import (
    REQUIRED,
    Entry,
    expects_part,
    makers,
    options,
    parameters,
    public_path,
    wanted_class,
)

FITTING = 40
"""Most names of fitting parts; a slot that takes any module has hundreds."""

WIDTH = 116


@dataclass(frozen=True)
class _Found:
    """What stands at a key: its entry, its value as data, and the docstring that describes it."""

    entry: Entry
    value: Any
    about: str = ""


def key_help(
    key: str, entries: Mapping[str, Entry], config: Mapping[str, Any], place: str, owners: Mapping[str, Any]
) -> str:
    """Return what can be set at a key, with the docstrings of its arguments.

    Args:
        key: Dotted path; ``every`` stands for all stages.
        entries: What can be set at the top of a configuration.
        config: What is set; parts below a key are those of this configuration.
        place: Where it was set, for messages.
        owners: Group at the top -> the class whose docstring describes its keys.

    Raises:
        ConfigError: There is no such key.
    """
    found = _Found(Entry(dict, {}, group=dict(entries)), config)
    origin = Origin(place, "")
    for name in key.split("."):
        if found.value is None and expects_part(found.entry.annotation):
            raise origin.error(
                f"has no class yet, so that nothing is known about {key}; name a file before --help, for example "
                f"--config ablations/localvit_act.yaml --help {key}."
            )
        below, docs = _inside(found, origin, owners)
        real = "stage1" if name == "every" and name not in below else name
        origin, inner = origin.at(name), _set(found)
        if real not in below and real not in inner:
            raise origin.error(f"does not exist{origin.nearest(name, {*below, *inner})}")
        entry = below.get(real, Entry(Any, None))  # what a mapping holds is no entry, such as an arm
        found = _Found(entry, inner[real] if real in inner else entry.start(), docs.get(real, ""))
    return "\n".join([*_head(key, found), *_arguments(found, origin, owners), *_fitting(found)]) + "\n"


def _set(found: _Found) -> Mapping[str, Any]:
    """Return what is set below a key."""
    inner = found.value.get("init_args", found.value) if isinstance(found.value, Mapping) else {}
    return inner if isinstance(inner, Mapping) else {}


def _inside(found: _Found, origin: Origin, owners: Mapping[str, Any]) -> tuple[dict[str, Entry], dict[str, str]]:
    """Return the entries below a key, with their descriptions from their owner's docstring."""
    path = _class_path(found)
    if path is not None:
        owner = _imported(path)
        return parameters(path, found.entry.annotation, origin), _documented(owner)
    group = found.entry.entries()
    if group is None:
        return {}, {}
    classes = [one for one in options(found.entry.annotation) if inspect.isclass(one) and one is not dict]
    owner = owners.get(origin.key, classes[0] if classes else None)
    return group, {} if owner is None else _documented(owner)


def _class_path(found: _Found) -> str | None:
    value = found.value
    if isinstance(value, Mapping) and "class_path" in value:
        return str(value["class_path"])
    return value if isinstance(value, str) and expects_part(found.entry.annotation) else None


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _documented(owner: Any) -> dict[str, str]:
    """Return argument -> description, of a function or of a class with its parents."""
    owners = reversed(inspect.getmro(owner)[:-1]) if inspect.isclass(owner) else [owner]
    texts = [
        text for one in owners for text in (one.__doc__, getattr(vars(one).get("__init__"), "__doc__", "")) if text
    ]
    described = {
        one.arg_name: " ".join((one.description or "").split()) for text in texts for one in parse(text).params
    }
    return {name.strip(): text for names, text in described.items() for name in names.split(",")}


def _head(key: str, found: _Found) -> list[str]:
    path = _class_path(found)
    value = (
        path if path is not None else yaml.safe_dump(found.value, default_flow_style=True).strip().removesuffix("\n...")
    )
    if found.entry.entries() is not None and path is None:
        return [key, *_indented(found.about)]
    lines = [key, *_indented(found.about), f"  type   {type_name(found.entry.annotation)}"]
    return [*lines, f"  value  {textwrap.shorten(value, 300)}"]


def _arguments(found: _Found, origin: Origin, owners: Mapping[str, Any]) -> list[str]:
    entries, docs = _inside(found, origin, owners)
    if not entries:
        return []
    path = _class_path(found)
    lines = ["", f"Arguments of {path}:" if path else "Keys below:"]
    for name, entry in entries.items():
        default = "" if entry.default is REQUIRED else f" = {_short(entry.start())}"
        lines += [f"  {name}: {type_name(entry.annotation)}{default}", *_indented(docs.get(name, ""), "      ")]
        here, usual = (_short(value) for value in (_set(found).get(name, entry.start()), entry.start()))
        if here.removesuffix("()") != usual.removesuffix("()"):
            lines += [f"      Here: {here}"]
    return lines


def _short(value: Any) -> str:
    return textwrap.shorten(_plain(value), 80)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping) and "class_path" in value:
        inner = ", ".join(f"{name}={_plain(one)}" for name, one in (value.get("init_args") or {}).items())
        return f"{value['class_path']}({inner})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_plain(one)}" for name, one in value.items()) + "}"
    return "null" if value is None else repr(value) if value == "" else str(value)


def _fitting(found: _Found) -> list[str]:
    # True and False may stand in the place of loggers.
    kinds = tuple(one for one in options(found.entry.annotation) if one is not bool)
    slot = typing.Union[kinds] if kinds else None  # noqa: UP007 (of as many types as there are)
    wanted = wanted_class(slot)
    if wanted is None or not expects_part(slot):
        return []
    found_names = makers({home: importlib.import_module(home) for home in Origin.homes}, slot)
    names = [name for name in found_names if name != public_path(wanted)]
    more = f", and {len(names) - FITTING} more" if len(names) > FITTING else ""
    return ["", "Parts that fit:", *_indented(", ".join(names[:FITTING]) + more)]


def _indented(text: str, by: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=by, subsequent_indent=by)


def type_name(annotation: Any) -> str:
    """Return a type as a reader of YAML understands it."""
    return " or ".join(dict.fromkeys(_one_type(one) for one in options(annotation)))


def _one_type(annotation: Any) -> str:
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "null"
    if annotation is Any or annotation is inspect.Parameter.empty:
        return "anything"
    if origin is typing.Literal:
        return " or ".join(map(repr, inside))
    if origin is collections.abc.Callable:
        return f"a class that makes {_one_type(inside[-1])}" if inside else "a class"
    if origin is not None and isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return f"mapping of {' to '.join(map(type_name, inside))}"
    if origin is not None:
        name = getattr(origin, "__name__", str(origin))
        return f"{name} of {', '.join(type_name(one) for one in inside if one is not Ellipsis)}"
    if isinstance(annotation, type | types.FunctionType):
        return annotation.__name__ if annotation.__module__ == "builtins" else public_path(annotation)
    return str(annotation)

"""Filling in the defaults of every class in a configuration, so that it states everything that runs."""

import inspect
import os
import typing
from collections.abc import Mapping
from typing import Any, Literal

import timm
import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from vitcli.config.origin import Origin
from vitcli.config.overlay import tidy, words_of
from vitmodels.skeletons.entries import (
    REQUIRED,
    Entry,
    OpenEntries,
    expects_part,
    import_part,
    item_type,
    may_stand,
    options,
    parameters,
    takes_call,
)

# Parts in arguments without a stated type are built as usual; ``_check_inner_parts`` decides which may be.
set_parsing_settings(instantiate_subclass_spec_in_any=True)

PLAIN = (str, int, float, bool, type(None))


def complete(config: dict[str, Any], schema: dict[str, Entry], place: str) -> dict[str, Any]:
    """Return ``config`` with every value stated, in the order of the classes' arguments.

    Args:
        config: What was set; see ``vitcli.config.overlay``.
        schema: The entries at the top.
        place: Where it was set, for messages.

    Raises:
        ConfigError: An argument that has no default is missing.
    """
    return _group(config, schema, Origin(place, ""), place)


def _group(given: dict[str, Any], entries: dict[str, Entry], origin: Origin, owner: str) -> dict[str, Any]:
    filled = {}
    for name, entry in entries.items():
        here = origin.at(name)
        if name not in given and entry.default is REQUIRED:
            raise here.error(f"is missing; {owner} needs it.")
        start = given[name] if name in given else entry.start()
        if name not in given and _holds_code(start):
            continue
        value = _value(start, entry, here)
        if name in given or _is_data(value):  # a default that is an object is left to the class
            filled[name] = value
    others = [name for name in given if name not in entries] if isinstance(entries, OpenEntries) else []
    return filled | {name: _value(given[name], entries[name], origin.at(name)) for name in others}


def _value(value: Any, entry: Entry, origin: Origin) -> Any:
    if isinstance(value, str) and expects_part(entry.annotation):
        value = {"class_path": value}
    if isinstance(value, dict) and "class_path" in value:
        path, given = value["class_path"], value.get("init_args") or {}
        filled = _group(given, parameters(path, entry.annotation, origin), origin, path)
        return {"class_path": path, "init_args": filled} if filled else {"class_path": path}
    fields = entry.entries()
    if fields is not None and isinstance(value, dict):
        return _group(value, fields, origin, origin.key)
    if isinstance(value, list):
        item = item_type(entry.annotation)
        inner = _inner_slot(entry.annotation) if item is None else item
        slots = [Entry(inner if isinstance(one, dict) else item) for one in value]
        return [_value(one, slot, origin.at(str(i))) for i, (one, slot) in enumerate(zip(value, slots, strict=True))]
    _check_inner_parts(value, _inner_slot(entry.annotation), origin)
    return tidy(entry.annotation, value)


def _is_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_data(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_is_data(inner) for inner in value)
    return isinstance(value, PLAIN)


def _holds_code(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return callable(value) or any(_holds_code(one) for one in inner)


def as_namespace(config: dict[str, Any], schema: dict[str, Entry]) -> Namespace:
    """Return a complete configuration as the Namespace that LightningCLI's parser would make of it.

    The parser would search every part for defaults once for each class around it, which takes seconds for a vision transformer.

    Raises:
        ConfigError: A part is of the wrong kind for its slot; parts that the parser finds in text are checked too.
    """
    return _namespace(config, schema, Origin("configuration", ""))


def _namespace(given: dict[str, Any], entries: dict[str, Entry], origin: Origin) -> Namespace:
    return Namespace(**{name: _object(value, entries[name], origin.at(name)) for name, value in given.items()})


def _object(value: Any, entry: Entry, origin: Origin) -> Any:
    if isinstance(value, dict) and "class_path" in value:
        found = import_part(value["class_path"], entry.annotation, origin)
        if inspect.isfunction(found) and takes_call(entry.annotation) and not value.get("init_args"):
            return found  # the parser would call it at once, as it does with a function that makes a class's argument
        entries = parameters(value["class_path"], entry.annotation, origin)
        arguments = _namespace(value.get("init_args", {}), entries, origin)
        others = {name: arguments.pop(name) for name in value.get("init_args", {}) if name not in entries}
        path = value["class_path"]
        if inspect.isfunction(found) and "return" not in found.__annotations__ and timm.is_model(found.__name__):
            path, arguments["model_name"] = "timm.create_model", found.__name__  # which states that it makes a module
        made = Namespace(class_path=path, init_args=arguments)
        return Namespace(**vars(made), dict_kwargs=others) if others else made
    fields = entry.entries()
    if fields is not None and isinstance(value, dict):
        return _namespace(value, fields, origin)
    item = item_type(entry.annotation)
    if isinstance(value, list) and item is not None and expects_part(item):
        return [_object(one, Entry(item), origin.at(str(i))) for i, one in enumerate(value)]
    if isinstance(value, PLAIN) and (not isinstance(value, str) or _is_plain(value, entry.annotation)):
        return value
    slot = _inner_slot(entry.annotation)
    _check_inner_parts(value, slot, origin)
    if entry.annotation is Any and isinstance(value, PLAIN):
        return value
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=entry.annotation)
    parsed = parser.parse_object({"value": value}).value
    _check_inner_parts(parsed, slot, origin)
    return value if isinstance(value, str) and str in options(entry.annotation) else parsed


def _is_plain(word: str, annotation: Any) -> bool:
    """Whether text stays text in an argument: its type allows nothing else, or lists this word."""
    return set(options(annotation)) <= set(PLAIN) or word in words_of(annotation)


def _check_inner_parts(value: Any, slot: Any, origin: Origin) -> None:
    """Check the parts and functions inside a plain value: the parser builds and calls them, wherever it finds them.

    Raises:
        ConfigError: One of them is not allowed there.
    """
    inner = vars(value) if isinstance(value, Namespace) else _loaded(value)
    if isinstance(inner, Mapping) and isinstance(inner.get("class_path"), str):
        path, given = inner["class_path"], inner.get("init_args") or {}
        entries = parameters(path, slot, origin)
        for name, one in (vars(given) if isinstance(given, Namespace) else given).items():
            _check_inner_parts(one, entries[name].annotation if name in entries else Any, origin.at(str(name)))
        inner = {name: one for name, one in inner.items() if name not in ("class_path", "init_args")}
    if isinstance(inner, Mapping):
        for name, one in inner.items():
            _check_inner_parts(one, slot, origin.at(str(name)))
    elif isinstance(inner, list | tuple | set):
        for number, one in enumerate(inner):
            _check_inner_parts(one, slot, origin.at(str(number)))
    elif callable(inner) and not isinstance(inner, os.PathLike) and not may_stand(inner, slot):
        raise origin.error(
            f"is {inner!r}, which cannot be called from a configuration; name a class of torch.nn.Module."
        )


def _loaded(value: Any) -> Any:
    """Return what the parser makes of text without a stated type: its value as YAML."""
    if not isinstance(value, str) or ":" not in value:
        return value
    try:
        return yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        return value


def _inner_slot(annotation: Any) -> Any:
    """Return the type of the parts inside a value of this type, such as that of the values of a mapping."""
    if takes_call(annotation) or not typing.get_args(annotation) or typing.get_origin(annotation) is Literal:
        return annotation
    inner = tuple(_inner_slot(one) for one in typing.get_args(annotation) if one is not Ellipsis)
    return typing.Union[inner]  # noqa: UP007 (of as many types as there are)

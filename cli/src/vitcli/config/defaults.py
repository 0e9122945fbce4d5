"""Filling in what a configuration leaves out: the defaults of every class in it, so that it states all that runs."""

import inspect
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from vitcli.config.entries import (
    REQUIRED,
    Entry,
    Origin,
    expects_part,
    import_part,
    item_type,
    options,
    parameters,
    takes_call,
)
from vitcli.config.overlay import tidy

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
        value = _value(given[name] if name in given else entry.start(), entry, here)
        if name in given or _is_data(value):  # a default that is an object is left to its class
            filled[name] = value
    return filled


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
        item = Entry(item_type(entry.annotation))
        return [_value(one, item, origin.at(str(i))) for i, one in enumerate(value)]
    return tidy(entry.annotation, value)


def _is_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_data(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_is_data(inner) for inner in value)
    return isinstance(value, PLAIN)


def as_namespace(config: dict[str, Any], schema: dict[str, Entry]) -> Namespace:
    """Return a complete configuration as the Namespace that LightningCLI's parser would make of it.

    The parser would search every part for defaults once for each class around it, which takes seconds for a vision transformer.
    """
    return _namespace(config, schema)


def _namespace(given: dict[str, Any], entries: dict[str, Entry]) -> Namespace:
    return Namespace(**{name: _object(value, entries[name]) for name, value in given.items()})


def _object(value: Any, entry: Entry) -> Any:
    if isinstance(value, dict) and "class_path" in value:
        found = import_part(value["class_path"], Any, Origin("", ""))
        if inspect.isfunction(found) and takes_call(entry.annotation) and not value.get("init_args"):
            return found  # the parser would call it at once, as it does with a function that makes a class's argument
        entries = parameters(value["class_path"], entry.annotation, Origin("", ""))
        return Namespace(class_path=value["class_path"], init_args=_namespace(value.get("init_args", {}), entries))
    fields = entry.entries()
    if fields is not None and isinstance(value, dict):
        return _namespace(value, fields)
    item = item_type(entry.annotation)
    if isinstance(value, list) and item is not None and expects_part(item):
        return [_object(one, Entry(item)) for one in value]
    written = entry.annotation is Any or not isinstance(value, str) or str in options(entry.annotation)
    if isinstance(value, PLAIN) and written:
        return value
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=entry.annotation)
    return parser.parse_object({"value": value}).value

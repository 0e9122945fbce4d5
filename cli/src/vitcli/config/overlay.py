"""Laying values over a configuration, key by key, with the defaults of every class in reach.

A configuration is data: mappings, lists, numbers and text. A part is ``{class_path: ..., init_args: {...}}``. Keys go through
parts without naming ``init_args``; ``every`` stands for all of ``stage1``, ``stage2``, ... Naming another class replaces a
part whole: nothing of the old one is carried over. Where every second block of a stage holds another part, it follows, see
``vitmodels.skeletons.alternate``.
"""

import collections.abc
import copy
import re
import typing
from typing import Any

from jsonargparse import ArgumentParser

from vitcli.config.entries import (
    Entry,
    Origin,
    callable_entries,
    expects_part,
    import_part,
    item_type,
    options,
    parameters,
    public_path,
    wanted,
)
from vitcli.config.errors import nearest, refuse_non_finite
from vitmodels.skeletons.alternate import following

__all__ = ["Entry", "Origin", "callable_entries", "checked", "import_part", "lay_over", "tidy"]


def lay_over(
    config: dict[str, Any], schema: dict[str, Entry], values: collections.abc.Mapping[str, Any], place: str
) -> None:
    """Lay ``values`` over ``config`` in place.

    Args:
        config: What is set so far.
        schema: The entries at the top.
        values: Nested mappings, dotted keys, or both.
        place: Where the values come from, for messages.

    Raises:
        ConfigError: A key is unknown, a class cannot be imported or is of the wrong kind, or a value has the wrong type.
    """
    for key, value in _stage_first(values):
        refuse_non_finite(place, str(key), value)
        names = str(key).split(".")
        _put(config, schema, names, value, Origin(place, str(key)), "")


def _stage_first(values: collections.abc.Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the items with what concerns every second block alone last: it wins over what follows from the stage."""
    return sorted(values.items(), key=lambda item: "alternate" in str(item[0]).split("."))


def _put(
    container: dict[str, Any], entries: dict[str, Entry], names: list[str], value: Any, origin: Origin, above: str
) -> None:
    name, rest = names[0], names[1:]
    appended = name.endswith("+") and not rest
    name = name.removesuffix("+")
    targets = [stage for stage in entries if re.fullmatch(r"stage\d+", stage)] if name == "every" else []
    for target in targets or [name]:
        if target not in entries:
            raise origin.error(f"has no entry {target!r}{' in ' + above if above else ''}{nearest(target, entries)}")
        entry = entries[target]
        if target not in container:
            container[target] = entry.start()
        here = f"{above}.{target}" if above else target
        if "alternate" in entries and not appended:
            other = entries["alternate"].entries() or {}
            for below, inner in following(container, target, rest, value):
                _put(container["alternate"], other, [target, *below], copy.deepcopy(inner), origin, here)
        if appended:
            _replace(container, target, entry, _extended(entry, container[target], value, origin, here), origin, here)
        elif rest:
            _descend(container, target, entry, rest, value, origin, here)
        else:
            _replace(container, target, entry, copy.deepcopy(value), origin, here)


def _extended(entry: Entry, old: Any, value: Any, origin: Origin, here: str) -> list[Any]:
    if item_type(entry.annotation) is None:
        raise origin.error(f"appends to {here}, which is no list; leave out the +.")
    head = old if isinstance(old, list) else [] if old is None else [old]
    return [*copy.deepcopy(head), *(copy.deepcopy(value) if isinstance(value, list) else [copy.deepcopy(value)])]


def _descend(
    container: dict[str, Any], name: str, entry: Entry, rest: list[str], value: Any, origin: Origin, here: str
) -> None:
    node = container[name]
    if isinstance(node, str) and expects_part(entry.annotation):
        node = container[name] = {"class_path": node}
    if isinstance(node, dict) and "class_path" in node:
        if rest == ["class_path"]:
            _replace(container, name, entry, {"class_path": value}, origin, here)
            return
        if rest[0] == "init_args":
            rest = rest[1:]
        inner = node.setdefault("init_args", {})
        if not rest:
            _replace(container, name, entry, {"class_path": node["class_path"], "init_args": value}, origin, here)
            return
        _put(inner, parameters(node["class_path"], entry.annotation, origin), rest, value, origin, here)
        return
    fields = entry.entries()
    if fields is not None:
        if node is None:
            node = container[name] = {}
        _put(node, fields, rest, value, origin, here)
        return
    if isinstance(node, dict):
        if len(rest) == 1:
            node[rest[0]] = value
            return
        _descend(node, rest[0], Entry(Any), rest[1:], value, origin, here)
        return
    if node is None and expects_part(entry.annotation):
        raise origin.error(f"is set before {here} has a class; name one first: {here}: package.Class.")
    raise origin.error(f"goes through {here}, which is {node!r} and has no entries.")


def _replace(container: dict[str, Any], name: str, entry: Entry, value: Any, origin: Origin, here: str) -> None:
    old = container.get(name)
    part = expects_part(entry.annotation)
    if isinstance(old, str) and part:
        old = container[name] = {"class_path": old}
    if isinstance(value, dict) and "class_path" not in value:
        if entry.entries() is not None or isinstance(old, dict):
            for key, inner in _stage_first(value):
                _descend(container, name, entry, str(key).split("."), inner, origin.at(str(key)), here)
            return
        if part:
            raise origin.error(f"needs a class_path, got {value!r}; name the class: {here}: package.Class.")
    if isinstance(value, str) and (part or _names_class(entry.annotation, value)):
        value = {"class_path": value}
    item = item_type(entry.annotation)
    if isinstance(value, list) and item is not None and expects_part(item):
        container[name] = [_item(item, one, origin.at(str(i)), f"{here}.{i}") for i, one in enumerate(value)]
    elif isinstance(value, dict) and "class_path" in value and _may_be_part(entry.annotation):
        _replace_part(container, name, entry, value, origin, here)
    elif entry.entries() is not None:
        raise origin.error(
            f"is {value!r}; expected keys and values, such as {here}.{next(iter(entry.entries() or ()))}."
        )
    else:
        container[name] = checked(entry.annotation, value, origin)


def _replace_part(
    container: dict[str, Any], name: str, entry: Entry, value: dict[str, Any], origin: Origin, here: str
) -> None:
    class_path, given = value["class_path"], value.get("init_args") or {}
    if not isinstance(class_path, str):
        raise origin.error(f"has class_path {class_path!r}; expected an import path such as torch.nn.GELU.")
    if not isinstance(given, dict):
        raise origin.error(f"has init_args {given!r}; expected keys and values.")
    found, old = import_part(class_path, entry.annotation, origin), container.get(name)
    same = isinstance(old, dict) and "class_path" in old and import_part(old["class_path"], Any, origin) is found
    container[name] = {
        "class_path": public_path(found),
        "init_args": (old.get("init_args") or {}) if same else {},  # type: ignore[union-attr]
    }
    beside = {key: inner for key, inner in value.items() if key not in ("class_path", "init_args")}
    for key, inner in {**beside, **given}.items():
        _descend(container, name, entry, str(key).split("."), inner, origin.at(str(key)), here)


def _names_class(annotation: Any, value: str) -> bool:
    """Whether text stands for a class where something else is possible too, such as a logger, several, or none."""
    return "." in value and str not in options(annotation) and wanted(annotation) is not None


def _may_be_part(annotation: Any) -> bool:
    """Whether a class can stand in a slot; a plain number or word cannot be one."""
    open_ended = any(one is Any or one is dict or typing.get_origin(one) is dict for one in options(annotation))
    return open_ended or expects_part(annotation) or wanted(annotation) is not None


def _item(annotation: Any, value: Any, origin: Origin, here: str) -> Any:
    holder: dict[str, Any] = {}
    _replace(holder, "item", Entry(annotation), value, origin, here)
    return holder["item"]


def checked(annotation: Any, value: Any, origin: Origin) -> Any:
    """Return a plain value after checking its type; a whole number where a float belongs becomes one.

    Raises:
        ConfigError: The value has another type.
    """
    # The parser would take the first of several types that fits; Python orders equal unions as the first import did, so that
    # of `int | float` 2 may become 2.0: another configuration, for some arguments of the trainer another meaning.
    if annotation is Any or (isinstance(value, int | float) and type(value) in options(annotation)):
        return value
    if value is None and type(None) not in options(annotation):
        raise origin.error(f"is null; expected {'a class' if expects_part(annotation) else 'a value'}.")
    if (
        expects_part(annotation)
        and value is not None
        and (item_type(annotation) is None or not isinstance(value, list))
    ):
        kind = wanted(annotation)
        raise origin.error(
            f"is {value!r}; expected the import path of a class{f' of {public_path(kind)}' if kind else ''}."
        )
    parser = ArgumentParser(exit_on_error=False)
    try:
        parser.add_argument("--value", type=annotation)
        parsed = parser.parse_object({"value": value}).value
    except Exception as error:
        found = re.findall(r"Expected (?:an? )?(.+?)(?:\. Got value|\.\n|\.$|\n|$)", str(error))
        kinds = dict.fromkeys(re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text).strip(" .") for text in found)
        # Where a number may be a tensor too, the parser offers the import path of one.
        kinds = {kind: None for kind in kinds if "import path" not in kind}
        pair = next((typing.get_args(one) for one in options(annotation) if typing.get_origin(one) is tuple), ())
        if "tuple" in kinds and pair and Ellipsis not in pair:
            parts = ", ".join(getattr(one, "__name__", str(one)) for one in pair)
            kinds = {f"a list of {len(pair)} values ({parts})" if kind == "tuple" else kind: None for kind in kinds}
        shown = [re.sub(r"^typing\.Literal\[(.*)\]$", r"\1", kind).replace("NoneType", "null") for kind in kinds]
        expected = f"expected {' or '.join(shown)}" if shown else "it has the wrong type"
        raise origin.error(f"is {value!r}; {expected}.") from error
    return tidy(annotation, parsed if isinstance(parsed, int | float | str | tuple) else value)


def tidy(annotation: Any, value: Any) -> Any:
    """Return a value as it is written down: a float where the type says so, a list for a tuple."""
    if isinstance(value, tuple):
        value = list(value)
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and float in options(annotation)
        and int not in options(annotation)
    ):
        return float(value)
    return value

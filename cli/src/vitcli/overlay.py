"""Laying values over a configuration, key by key, with the defaults of every class in reach.

A configuration is data: mappings, lists, numbers and text. A part is ``{class_path: ..., init_args: {...}}``. Keys go through
parts without naming ``init_args``; ``every`` stands for all of ``stage1``, ``stage2``, ... Naming another class replaces a
part whole: nothing of the old one is carried over.
"""

import collections.abc
import copy
import dataclasses
import importlib
import inspect
import re
import sys
import types
import typing
from typing import Any

from jsonargparse import ArgumentParser

from vitcli.errors import ConfigError, nearest

BUILTIN = (str, int, float, bool, list, dict, tuple, type(None))
PUBLIC = ("vitmodels", "vitcore", "vittasks", "torch.nn", "torch.optim")
"""Where a bare class name is looked for when a suggestion is made."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a value comes from and under which key, for messages."""

    place: str
    key: str

    def error(self, text: str) -> ConfigError:
        """Return an error that names the place and the key."""
        return ConfigError(f"{self.place}: {self.key} {text}")

    def at(self, name: str) -> "Origin":
        """Return the origin of an entry below."""
        return Origin(self.place, f"{self.key}.{name}" if self.key else name)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing that can be set: its type, its default and, for a plain group of entries, what is in it."""

    annotation: Any
    default: Any = None
    group: "dict[str, Entry] | None" = None

    def entries(self) -> "dict[str, Entry] | None":
        """Return the entries of a group or of a dataclass type; None for anything else."""
        return self.group if self.group is not None else dataclass_entries(self.annotation)


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
    for key, value in values.items():
        names = str(key).split(".")
        _put(config, schema, names, value, Origin(place, str(key)), "")


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
            container[target] = as_data(entry.default)
        here = f"{above}.{target}" if above else target
        if appended:
            old = container[target] or []
            new = [*old, *(value if isinstance(value, list) else [value])]
            container[target] = checked(entry.annotation, new, origin)
        elif rest:
            _descend(container, target, entry, rest, value, origin, here)
        else:
            _replace(container, target, entry, copy.deepcopy(value), origin, here)


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
        _put(inner, parameters(node["class_path"], origin), rest, value, origin, here)
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
    if isinstance(old, str) and expects_part(entry.annotation):
        old = container[name] = {"class_path": old}
    if isinstance(value, dict) and "class_path" not in value:
        if entry.entries() is not None or isinstance(old, dict):
            for key, inner in value.items():
                _descend(container, name, entry, str(key).split("."), inner, origin.at(str(key)), here)
            return
        if expects_part(entry.annotation):
            raise origin.error(f"needs a class_path, got {value!r}; name the class: {here}: package.Class.")
    if isinstance(value, str) and expects_part(entry.annotation):
        value = {"class_path": value}
    if isinstance(value, dict) and "class_path" in value and not isinstance(value["class_path"], str):
        raise origin.error(f"has class_path {value['class_path']!r}; expected an import path such as torch.nn.GELU.")
    if isinstance(value, dict) and "class_path" in value:
        found = import_part(value["class_path"], entry.annotation, origin)
        same = isinstance(old, dict) and "class_path" in old and import_part(old["class_path"], Any, origin) is found
        node = {"class_path": public_path(found), "init_args": (old.get("init_args") or {}) if same else {}}  # type: ignore[union-attr]
        container[name] = node
        arguments = {k: v for k, v in value.items() if k not in ("class_path", "init_args")} | (
            value.get("init_args") or {}
        )
        for key, inner in arguments.items():
            _descend(container, name, entry, str(key).split("."), inner, origin.at(str(key)), here)
        return
    container[name] = checked(entry.annotation, value, origin)


def expects_part(annotation: Any) -> bool:
    """Whether a value of this type is named by a class: a class of its own or something callable."""
    options = [option for option in _options(annotation) if option is not type(None)]
    if any(option is Any or option in (str, int, float, bool) for option in options):
        return False
    return any(
        typing.get_origin(option) is collections.abc.Callable
        or option is collections.abc.Callable
        or (inspect.isclass(option) and option not in BUILTIN and not dataclasses.is_dataclass(option))
        for option in options
    )


def dataclass_entries(annotation: Any) -> dict[str, Entry] | None:
    """Return the entries of a dataclass type, or None for any other type."""
    for option in _options(annotation):
        if dataclasses.is_dataclass(option):
            hints = typing.get_type_hints(option)
            return {field.name: Entry(hints[field.name], _field_default(field)) for field in dataclasses.fields(option)}
    return None


def parameters(class_path: str, origin: Origin) -> dict[str, Entry]:
    """Return what can be set of a class or function, with defaults."""
    found = import_part(class_path, Any, origin)
    return callable_entries(found)


def callable_entries(found: Any) -> dict[str, Entry]:
    """Return the arguments of a class or function as entries; starred ones are left out."""
    target = found.__init__ if inspect.isclass(found) else found
    try:
        hints = typing.get_type_hints(target)
    except (NameError, TypeError):
        hints = {}
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: Entry(hints.get(name, Any), None if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.kind not in starred
    }


def import_part(path: str, annotation: Any, origin: Origin) -> Any:
    """Import what ``path`` names and check that it is of the kind that the slot takes."""
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        homes = [f"{home}.{name}" for home in PUBLIC if hasattr(importlib.import_module(home), name)]
        hint = f"; did you mean {homes[0]}?" if homes else f" ({error})."
        raise origin.error(f"is {path!r}, which cannot be imported{hint}") from error
    if not hasattr(module, name):
        names = [
            f"{module_name}.{one}" for one, object_ in vars(module).items() if _makes(object_, _wanted(annotation))
        ]
        raise origin.error(f"is {path!r}, which cannot be imported{nearest(path, names)}")
    found = getattr(module, name)
    wanted = _wanted(annotation)
    if not _makes(found, wanted):
        places = [(home, importlib.import_module(home)) for home in dict.fromkeys((module_name, *PUBLIC))]
        names = [
            f"{home}.{one}" for home, place in places for one, object_ in vars(place).items() if _makes(object_, wanted)
        ]
        alike = [candidate for candidate in names if candidate.rpartition(".")[2].lower() == name.lower()]
        hint = f"; did you mean {alike[0]}?" if alike else nearest(path, names)
        raise origin.error(f"is {path!r}, which makes no {public_path(wanted or object)}{hint}")
    return found


def public_path(found: Any) -> str:
    """Return the shortest import path of a class or function."""
    parts, name = found.__module__.split("."), found.__qualname__
    for end in range(1, len(parts) + 1):
        home = ".".join(parts[:end])
        if home in sys.modules and getattr(sys.modules[home], name, None) is found:
            return f"{home}.{name}"
    return f"{'.'.join(parts)}.{name}"


def as_data(value: Any) -> Any:
    """Return a default as data: classes by their import path, dataclasses as mappings."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return {"class_path": public_path(value), "init_args": {}}
    if dataclasses.is_dataclass(value):
        return {field.name: as_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return copy.deepcopy(value)


def checked(annotation: Any, value: Any, origin: Origin) -> Any:
    """Return a plain value after checking its type."""
    if annotation in (Any, inspect.Parameter.empty):
        return value
    items = [typing.get_args(option)[0] for option in _options(annotation) if typing.get_origin(option) is list]
    for item in (one for one in value if isinstance(one, dict)) if items and isinstance(value, list) else ():
        if "class_path" in item:
            import_part(item["class_path"], items[0], origin)
    parser = ArgumentParser(exit_on_error=False)
    try:
        parser.add_argument("--value", type=annotation)
        parser.parse_object({"value": value})
    except Exception as error:
        wanted = re.findall(r"Expected (?:an? )?(.+?)(?:\. Got value|\.\n|\.$|\n|$)", str(error))
        options = list(dict.fromkeys(re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text).strip(" .") for text in wanted))
        expected = f"expected {' or '.join(options)}" if options else "it has the wrong type"
        raise origin.error(f"is {value!r}; {expected}.") from error
    return value


def _options(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(option for inner in typing.get_args(annotation) for option in _options(inner))
    return (annotation,)


def _wanted(annotation: Any) -> type | None:
    """Return the class that a part must make, where the slot's type tells."""
    for option in _options(annotation):
        if typing.get_origin(option) is collections.abc.Callable:
            returned = typing.get_args(option)[-1]
            return returned if inspect.isclass(returned) else None
        if inspect.isclass(option) and option is not Any and option not in BUILTIN:
            return option
    return None


def _makes(found: Any, wanted: type | None) -> bool:
    """Whether a class or function makes what is wanted; None wants anything that can be called."""
    if wanted is None:
        return callable(found)
    made = found
    if inspect.isfunction(found):
        try:
            made = typing.get_type_hints(found).get("return")
        except (NameError, TypeError):
            return False
    return inspect.isclass(made) and issubclass(made, wanted)


def _field_default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default

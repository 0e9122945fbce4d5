"""Laying values over a model's data, key by key, with the defaults of every class in reach.

YAML, the command line and ``timm.create_model`` share this grammar. Data are mappings, lists, numbers and text. A part is
``{class_path: ..., init_args: {...}}``; its arguments may also stand beside ``class_path``, and a part without arguments may be
its import path alone. A key may be dotted, and goes through a part without naming ``init_args``; ``every`` stands for all of
``stage1``, ``stage2``, ... Naming another class replaces a part whole: nothing of the old one is carried over. Naming the same
class, by whatever import path, keeps its arguments. Where every second block of a stage holds another part, it changes as well,
see ``vitmodels.skeletons.alternate``.
"""

import copy
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vitmodels.skeletons.alternate import changes_of_alternate
from vitmodels.skeletons.entries import (
    Entry,
    OpenEntries,
    Origin,
    expects_part,
    import_part,
    item_type,
    options,
    parameters,
    public_path,
    wanted_class,
)
from vitmodels.skeletons.parts import current_name

Data = dict[str, Any]

ARGUMENTS = ("init_args", "dict_kwargs")
"""The keys of a part's arguments; LightningCLI writes those that a class takes as ``**kwargs`` under the second."""


def check_kind(annotation: Any, value: Any, origin: Origin) -> Any:
    """Return a value that is not a part; refuse null, and in a slot for parts anything that is not callable.

    Raises:
        ValueError: The value cannot stand there; the error is the origin's.
    """
    if annotation is Any:
        return value
    if value is None and type(None) not in options(annotation):
        raise origin.error(f"is null; expected {'a class' if expects_part(annotation) else 'a value'}.")
    lists = item_type(annotation) is not None and isinstance(value, list)
    if expects_part(annotation) and value is not None and not callable(value) and not lists:
        kind = wanted_class(annotation)
        of_kind = f" of {public_path(kind)}" if kind else ""
        raise origin.error(f"is {value!r}; expected the import path of a class{of_kind}.")
    return value


@dataclass(frozen=True)
class Overlay:
    """Lays values over data in place.

    Args:
        check: Returns a value that is not a part, after checking it, for (type, value, origin). ``check_kind`` leaves the types
            of numbers and text to the ops.
    """

    check: Callable[[Any, Any, Any], Any] = check_kind

    def lay(self, data: Data, entries: Mapping[str, Entry], values: Mapping[str, Any], origin: Origin) -> None:
        """Lay ``values`` over ``data``.

        Args:
            data: What is set so far.
            entries: What can be set at the top of the data.
            values: Nested mappings, dotted keys, or both.
            origin: Where the values come from.

        Raises:
            ValueError: A key is unknown, a class cannot be imported or is of the wrong kind, or a value does not fit; the error
                is the origin's.
        """
        for key, value in _stage_first(values):
            self._put(data, entries, str(key).split("."), value, origin.at(str(key)), "")

    def _put(
        self, data: Data, entries: Mapping[str, Entry], names: list[str], value: Any, origin: Origin, above: str
    ) -> None:
        name, rest = names[0], names[1:]
        appended = name.endswith("+") and not rest
        for target in _targets(name.removesuffix("+"), entries, origin, above):
            entry = entries[target]
            if target not in data:
                data[target] = entry.start()
            here = f"{above}.{target}" if above else target
            if "alternate" in entries and not appended:
                other = entries["alternate"].entries() or {}
                for below, inner in changes_of_alternate(data, target, rest, value):
                    self._put(data["alternate"], other, [target, *below], copy.deepcopy(inner), origin, here)
            if appended:
                self._replace(data, target, entry, _extended(entry, data[target], value, origin, here), origin, here)
            elif rest:
                self._descend(data, target, entry, rest, value, origin, here)
            else:
                self._replace(data, target, entry, copy.deepcopy(value), origin, here)

    def _descend(
        self, data: Data, name: str, entry: Entry, rest: list[str], value: Any, origin: Origin, here: str
    ) -> None:
        node = data[name] = _as_part(data[name], entry)
        fields = entry.entries()
        if isinstance(node, dict) and "class_path" in node:
            self._descend_into_part(data, name, entry, rest, value, origin, here)
        elif fields is not None and (node is None or isinstance(node, dict)):
            node = data[name] = {} if node is None else node
            self._put(node, fields, rest, value, origin, here)
        elif isinstance(node, dict) and len(rest) == 1:
            node[rest[0]] = value
        elif isinstance(node, dict):
            self._descend(node, rest[0], Entry(Any), rest[1:], value, origin, here)
        elif node is None and expects_part(entry.annotation):
            raise origin.error(f"is set before {here} has a class; name one first: {here}: package.Class.")
        else:
            raise origin.error(f"goes through {here}, which is {node!r} and has no entries.")

    def _descend_into_part(
        self, data: Data, name: str, entry: Entry, rest: list[str], value: Any, origin: Origin, here: str
    ) -> None:
        node = data[name]
        if rest == ["class_path"]:
            self._replace(data, name, entry, {"class_path": value}, origin, here)
        elif len(rest) == 1 and rest[0] in ARGUMENTS:
            self._replace(data, name, entry, {"class_path": node["class_path"], "init_args": value}, origin, here)
        else:
            below = rest[1:] if rest[0] in ARGUMENTS else rest
            arguments = parameters(node["class_path"], entry.annotation, origin)
            self._put(node.setdefault("init_args", {}), arguments, below, value, origin, here)

    def _replace(self, data: Data, name: str, entry: Entry, value: Any, origin: Origin, here: str) -> None:
        part = expects_part(entry.annotation)
        old = data[name] = _as_part(data.get(name), entry)
        if isinstance(value, Mapping) and "class_path" not in value:
            if entry.entries() is not None or isinstance(old, dict):
                for key, inner in _stage_first(value):
                    self._descend(data, name, entry, str(key).split("."), inner, origin.at(str(key)), here)
                return
            if part:
                raise origin.error(f"needs a class_path, got {value!r}; name the class: {here}: package.Class.")
        if isinstance(value, str) and (part or _names_class(entry.annotation, origin.full_path(value))):
            value = {"class_path": value}
        item = item_type(entry.annotation)
        if isinstance(value, list) and item is not None and expects_part(item):
            data[name] = [self._item(item, one, origin.at(str(i)), f"{here}.{i}") for i, one in enumerate(value)]
        elif isinstance(value, Mapping) and "class_path" in value and _may_be_part(entry.annotation):
            self._replace_part(data, name, entry, value, origin, here)
        elif entry.entries() is not None and not isinstance(value, _classes(entry.annotation)):
            example = next(iter(entry.entries() or ()))
            raise origin.error(f"is {value!r}; expected keys and values, such as {here}.{example}.")
        else:
            data[name] = self.check(entry.annotation, value, origin)

    def _replace_part(
        self, data: Data, name: str, entry: Entry, value: Mapping[str, Any], origin: Origin, here: str
    ) -> None:
        class_path, (given, more) = value["class_path"], (value.get(key) or {} for key in ARGUMENTS)
        if not isinstance(class_path, str):
            raise origin.error(f"has class_path {class_path!r}; expected an import path such as torch.nn.GELU.")
        for key, one in zip(ARGUMENTS, (given, more), strict=True):
            if not isinstance(one, Mapping):
                raise origin.error(f"has {key} {one!r}; expected keys and values.")
        found, old = import_part(class_path, entry.annotation, origin), data.get(name)
        same = (
            isinstance(old, dict)
            and "class_path" in old
            and import_part(old["class_path"], entry.annotation, origin) is found
        )
        kept = (old.get("init_args") or {}) if same else {}  # type: ignore[union-attr]
        data[name] = {"class_path": public_path(found), "init_args": kept}
        beside = {key: inner for key, inner in value.items() if key not in ("class_path", *ARGUMENTS)}
        for key, inner in {**beside, **more, **given}.items():
            self._descend(data, name, entry, str(key).split("."), inner, origin.at(str(key)), here)

    def _item(self, annotation: Any, value: Any, origin: Origin, here: str) -> Any:
        holder: Data = {}
        self._replace(holder, "item", Entry(annotation), value, origin, here)
        return holder["item"]


def _stage_first(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the items with ``alternate`` last, so that it overrides what a change of the stage does to every second block."""
    return sorted(values.items(), key=lambda item: "alternate" in str(item[0]).split("."))


def _targets(name: str, entries: Mapping[str, Entry], origin: Origin, above: str) -> list[str]:
    """Return the entries that a name stands for: all stages for ``every``, else the one of this or of an earlier name."""
    stages = [stage for stage in entries if re.fullmatch(r"stage\d+", stage)] if name == "every" else []
    target = current_name(name, entries)
    if not stages and target not in entries and not isinstance(entries, OpenEntries):
        raise origin.error(f"has no entry {name!r}{' in ' + above if above else ''}{origin.nearest(name, entries)}")
    if target != name:
        origin.tell_renamed(name, target)
    return stages or [target]


def _extended(entry: Entry, old: Any, value: Any, origin: Origin, here: str) -> list[Any]:
    if item_type(entry.annotation) is None:
        raise origin.error(f"appends to {here}, which is not a list; leave out the +.")
    head = old if isinstance(old, list) else [] if old is None else [old]
    return [*copy.deepcopy(head), *(copy.deepcopy(value) if isinstance(value, list) else [copy.deepcopy(value)])]


def _as_part(value: Any, entry: Entry) -> Any:
    """Return an import path as a part if the slot takes a part; return anything else as it is."""
    return {"class_path": value} if isinstance(value, str) and expects_part(entry.annotation) else value


def _classes(annotation: Any) -> tuple[type, ...]:
    """Return the classes among a type's options; an object of one of them, such as a BlockSpec, is used as it is."""
    return tuple(option for option in options(annotation) if isinstance(option, type))


def _names_class(annotation: Any, value: str) -> bool:
    """Whether text stands for a class in a slot that also takes other values, such as ``logger``."""
    return "." in value and str not in options(annotation) and wanted_class(annotation) is not None


def _may_be_part(annotation: Any) -> bool:
    """Whether a class can stand in a slot; a plain number or word cannot be one."""
    open_ended = any(one is Any or one is dict or typing.get_origin(one) is dict for one in options(annotation))
    return open_ended or expects_part(annotation) or wanted_class(annotation) is not None

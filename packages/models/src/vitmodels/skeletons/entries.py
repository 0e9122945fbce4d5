"""What can be set in a model: entries with a type and a default, and parts, which are classes named by their import path.

The entries are read off the signatures of builders and ops, so that nothing has to be declared twice.
"""

import collections.abc
import copy
import dataclasses
import datetime
import difflib
import enum
import importlib
import inspect
import pathlib
import sys
import types
import typing
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import torch

from vitmodels.skeletons.parts import public_name, warn_renamed

VALUES = (
    *(str, int, float, list, dict, tuple, type(None)),
    *(pathlib.PurePath, datetime.timedelta, enum.Enum, torch.dtype, torch.device),
)
"""Types that are written as text, numbers, lists or mappings; any other class is a part."""

REQUIRED: Any = inspect.Parameter.empty
"""The default of an entry that has none."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a value comes from and under which key, and how its author is told what is wrong with it.

    Attributes:
        place: The file, or whatever else holds the value.
        key: The key in it.
        homes: Packages in which a bare class name is looked up for a suggestion.
    """

    place: str
    key: str
    homes: ClassVar[tuple[str, ...]] = ("vitmodels", "vitcore", "torch.nn")

    def error(self, text: str) -> ValueError:
        """Return an error that names the place and the key."""
        return ValueError(f"{self.place}: {self.key} {text}")

    def at(self, name: str) -> Self:
        """Return the origin of an entry below."""
        return dataclasses.replace(self, key=f"{self.key}.{name}" if self.key else name)

    def nearest(self, name: str, valid: Iterable[str]) -> str:
        """Return the end of a sentence about an unknown name: the most similar valid name, or a few valid names."""
        names = sorted(set(valid))
        close = difflib.get_close_matches(name, names, n=1)
        few = ", ".join([*names[:12], *(["..."] if len(names) > 12 else [])])
        return f"; did you mean {close[0]}?" if close else f"; valid names are {few}."

    def failed_import(self, module: str, error: Exception) -> str:
        """Return the end of a sentence about a module that cannot be imported."""
        return f" ({error if module else 'a class is named by its import path, such as torch.nn.GELU'})."

    def tell_renamed(self, old: str, new: str) -> None:
        """Tell the author that a key has a new name."""
        warn_renamed(old, new)


@dataclasses.dataclass(frozen=True)
class Entry:
    """Something that can be set: its type, its default and, for a plain group of entries, what is in the group."""

    annotation: Any
    default: Any = None
    group: "dict[str, Entry] | None" = None

    def entries(self) -> "dict[str, Entry] | None":
        """Return the entries of a group or of a dataclass type; None for anything else."""
        return self.group if self.group is not None else dataclass_entries(self.annotation)

    def start(self) -> Any:
        """Return the default as data, or None without a default. A class that is itself the value is given by its import path."""
        if self.default is REQUIRED:
            return None
        itself = any(typing.get_origin(one) is type for one in options(self.annotation))
        return public_path(self.default) if itself and inspect.isclass(self.default) else as_data(self.default)


def options(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, flattened; any other type alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(option for inner in typing.get_args(annotation) for option in options(inner))
    return (annotation,)


def expects_part(annotation: Any) -> bool:
    """Whether a value of this type is given by a class: the type is a class of its own or something callable."""
    chosen = [option for option in options(annotation) if option is not type(None)]
    if any(option is Any or option in (str, int, float, bool) for option in chosen):
        return False
    return any(
        _call(option) is not None or (_is_kind(option) and not dataclasses.is_dataclass(option)) for option in chosen
    )


def item_type(annotation: Any) -> Any:
    """Return the type of a list's items; None for any other type."""
    lists = (list, collections.abc.Iterable, collections.abc.Sequence)
    return next((typing.get_args(one)[0] for one in options(annotation) if typing.get_origin(one) in lists), None)


def dataclass_entries(annotation: Any) -> dict[str, Entry] | None:
    """Return the entries of a dataclass type; None for any other type."""
    for option in options(annotation):
        if dataclasses.is_dataclass(option):
            hints = typing.get_type_hints(option)
            return {field.name: Entry(hints[field.name], _field_default(field)) for field in dataclasses.fields(option)}
    return None


def parameters(class_path: str, slot: Any, origin: Origin) -> dict[str, Entry]:
    """Return what can be set of a class or function in a slot of type ``slot``, which supplies the first arguments."""
    entries = list(callable_entries(import_part(class_path, Any, origin)).items())
    return dict(entries[_supplied(slot) :])


def callable_entries(found: Any) -> dict[str, Entry]:
    """Return the arguments of a class or function as entries, without starred ones."""
    target = found.__init__ if inspect.isclass(found) else found
    try:
        hints = typing.get_type_hints(target)
    except (NameError, TypeError):
        hints = {}
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: Entry(hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.kind not in starred
    }


def import_part(path: str, annotation: Any, origin: Origin) -> Any:
    """Import what ``path`` names and check that it is of the kind that the slot takes.

    Raises:
        ValueError: It cannot be imported, or makes something else; the error is the origin's.
    """
    module_name, _, name = public_name(path).rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:
        homes = [f"{home}.{name}" for home in origin.homes if hasattr(importlib.import_module(home), name)]
        hint = f"; did you mean {homes[0]}?" if homes else origin.failed_import(module_name, error)
        raise origin.error(f"is {path!r}, which cannot be imported{hint}") from error
    kind = wanted_class(annotation)
    if not hasattr(module, name):
        names = makers({module_name: module}, kind)
        raise origin.error(f"is {path!r}, which cannot be imported{origin.nearest(path, names)}")
    found = getattr(module, name)
    if not _makes(found, kind):
        names = makers({home: importlib.import_module(home) for home in (module_name, *origin.homes)}, kind)
        alike = [candidate for candidate in names if candidate.rpartition(".")[2].lower() == name.lower()]
        hint = f"; did you mean {alike[0]}?" if alike else origin.nearest(path, names)
        raise origin.error(f"is {path!r}, which makes no {public_path(kind or object)}{hint}")
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


def wanted_class(annotation: Any) -> type | None:
    """Return the class that a part must make; None if the slot's type does not tell."""
    for option in options(annotation):
        call = _call(option)
        if call is not None:
            returned = call[-1] if call else None
            return returned if inspect.isclass(returned) else None
        if _is_kind(option):
            kind: type = option
            return kind
    return None


def takes_call(annotation: Any) -> bool:
    """Whether the value of this type is called, with what its slot supplies."""
    return any(_call(option) is not None for option in options(annotation))


def _is_kind(option: Any) -> bool:
    return inspect.isclass(option) and option is not Any and not issubclass(option, VALUES)


def _call(option: Any) -> tuple[Any, ...] | None:
    """Return the arguments of a Callable type, () for a bare one, None for any other type."""
    if option is collections.abc.Callable or typing.get_origin(option) is collections.abc.Callable:
        return typing.get_args(option)
    return None


def _supplied(slot: Any) -> int:
    """Return how many arguments a slot supplies."""
    calls = [call for option in options(slot) if (call := _call(option))]
    return len(calls[0][0]) if calls and isinstance(calls[0][0], list) else 0


def _makes(found: Any, kind: type | None) -> bool:
    """Whether a class or function makes an object of a kind; None stands for any callable."""
    if kind is None:
        return callable(found)
    made = found
    if inspect.isfunction(found):
        try:
            made = typing.get_type_hints(found).get("return")
        except (NameError, TypeError):
            return False
    return inspect.isclass(made) and issubclass(made, kind)


def makers(modules: dict[str, types.ModuleType], kind: type | None) -> list[str]:
    """Return the import paths of all that makes an object of a kind."""
    return [
        f"{home}.{name}"
        for home, module in modules.items()
        for name, one in inspect.getmembers(module)
        if _makes(one, kind)
    ]


def _field_default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED if field.default is dataclasses.MISSING else field.default

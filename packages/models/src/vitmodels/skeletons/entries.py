"""What can be set in a model: entries with a type and a default, and parts, which are classes named by their import path.

The entries are read from the signatures of builders and ops, so that nothing has to be declared twice.
"""

import collections.abc
import copy
import dataclasses
import datetime
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Self

from torch import nn

from vitcore import Nothing
from vitmodels.skeletons.kinds import (
    ANYWHERE,
    PLAIN,
    call_of,
    is_kind,
    is_standard,
    makes,
    may_stand,
    options,
    says_what_is_made,
    stated_kinds,
    takes_call,
    wanted_class,
)
from vitmodels.skeletons.parts import public_name, public_path, similar_names, warn_renamed

__all__ = [
    "REQUIRED",
    "Entry",
    "OpenEntries",
    "Origin",
    "as_data",
    "callable_entries",
    "dataclass_entries",
    "expects_part",
    "import_part",
    "item_type",
    "makers",
    "may_stand",
    "options",
    "parameters",
    "public_path",
    "takes_call",
    "wanted_class",
]

REQUIRED: Any = inspect.Parameter.empty
"""The default of an entry that has none."""

STANDARD = (
    "which is of Python's standard library; a configuration can name classes of other packages and plain values such as "
    "datetime.timedelta."
)
UNSTATED = (
    "but the type of this argument does not say what it holds, so that it takes plain values, modules, optimizers and schedules; "
    "expected a class of torch.nn.Module."
)
"""Why a class or function is refused in a slot; see ``vitmodels.skeletons.kinds``."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a value comes from and under which key; makes the messages about what is wrong with it.

    Attributes:
        place: The file, or whatever else holds the value.
        key: The key in it.
        homes: Packages in which a bare class name is looked up for a suggestion.
        short: Packages whose classes a bare name stands for.
    """

    place: str
    key: str
    homes: ClassVar[tuple[str, ...]] = ("vitmodels", "vitcore", "torch.nn")
    short: ClassVar[tuple[str, ...]] = ()

    def error(self, text: str) -> ValueError:
        """Return an error that names the place and the key."""
        return ValueError(f"{self.place}: {self.key} {text}")

    def at(self, name: str) -> Self:
        """Return the origin of an entry below."""
        return dataclasses.replace(self, key=f"{self.key}.{name}" if self.key else name)

    def full_path(self, name: str) -> str:
        """Return the import path that a bare name stands for here; any other name as it is."""
        homes = (home for home in self.short if "." not in name and hasattr(importlib.import_module(home), name))
        return next((f"{home}.{name}" for home in homes), name)

    def nearest(self, name: str, valid: Iterable[str]) -> str:
        """Return the end of a sentence about an unknown name: the most similar valid name, or a few valid names."""
        names = sorted(set(valid))
        close = get_close_matches(name, names, n=1)
        few = ", ".join([*names[:12], *(["..."] if len(names) > 12 else [])])
        return f"; did you mean {close[0]}?" if close else f"; valid names are {few}."

    def failed_import(self, module: str, error: BaseException) -> str:
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
        """Return the default as data, or None without a default. A class that is itself the value is given by its import path.

        A function that no file could name, such as a class's own ``collate_fn``, is returned as it is; so is a class whose slot's
        type does not say whether the class is called, and with which arguments.
        """
        if self.default is REQUIRED:
            return None
        if not (inspect.isclass(self.default) or inspect.isfunction(self.default)):
            return as_data(self.default)
        if not says_what_is_made(self.annotation):
            return self.default
        itself = any(typing.get_origin(one) is type for one in options(self.annotation))
        if itself and inspect.isclass(self.default):
            return public_path(self.default)
        return as_data(self.default) if may_stand(self.default, self.annotation) else self.default


class OpenEntries(dict[str, Entry]):
    """The arguments of a class or function that also accepts any others, through ``**kwargs``."""

    def __missing__(self, name: str) -> Entry:
        """Return the entry of another argument, of which nothing is known."""
        return Entry(Any)


def expects_part(annotation: Any) -> bool:
    """Whether a value of this type is written as a part: the type is a class of a package, or something callable."""
    chosen = [option for option in options(annotation) if option is not type(None)]
    if any(option is Any or option in (str, int, float, bool) for option in chosen):
        return False
    return any(
        call_of(option) is not None or (is_kind(option) and not dataclasses.is_dataclass(option)) for option in chosen
    )


def item_type(annotation: Any) -> Any:
    """Return the type of a list's items; None for any other type."""
    lists = (list, collections.abc.Iterable, collections.abc.Sequence)
    return next((typing.get_args(one)[0] for one in options(annotation) if typing.get_origin(one) in lists), None)


def dataclass_entries(annotation: Any) -> dict[str, Entry] | None:
    """Return the entries of a dataclass type; None for any other type."""
    for option in options(annotation):
        if dataclasses.is_dataclass(option):
            hints = _hints(option)
            return {
                field.name: Entry(hints.get(field.name, Any), _field_default(field))
                for field in dataclasses.fields(option)
            }
    return None


def parameters(class_path: str, slot: Any, origin: Origin) -> dict[str, Entry]:
    """Return the entries of a class or function in a slot of type ``slot``, which supplies the first arguments."""
    found = import_part(class_path, slot, origin)
    try:
        entries = list(callable_entries(found).items())
    except ValueError as error:  # a class in C need not have a signature
        raise origin.error(f"is {class_path!r}, which does not state its arguments.") from error
    return (OpenEntries if _takes_more(found) else dict)(entries[_supplied(slot) :])


def callable_entries(found: Any) -> dict[str, Entry]:
    """Return the arguments of a class or function as entries, without starred ones."""
    if found is datetime.timedelta:  # it has no signature
        return {name: Entry(float, 0.0) for name in ("days", "seconds", "milliseconds", "minutes", "hours", "weeks")}
    hints = _hints(found.__init__ if inspect.isclass(found) else found)
    starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: Entry(hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.kind not in starred
    }


def _hints(found: Any) -> dict[str, Any]:
    """Return the annotated types of a function's arguments or a dataclass's fields; none if one of them cannot be resolved."""
    try:
        return typing.get_type_hints(found)
    except Exception:  # annotations may be any text, such as names that are imported for type checkers alone
        return {}


def _takes_more(found: Any) -> bool:
    """Whether a class or function passes on arguments that it does not name, as timm's model functions and loggers do."""
    is_logger = any(one.__module__ == "lightning.pytorch.loggers.logger" for one in getattr(found, "__mro__", ()))
    if not (is_logger or makes(found, (nn.Module,))):
        return False
    return inspect.Parameter.VAR_KEYWORD in {one.kind for one in inspect.signature(found).parameters.values()}


def import_part(path: str, annotation: Any, origin: Origin) -> Any:
    """Import what ``path`` names and check that it may stand in a slot of this type.

    Raises:
        ValueError: It cannot be imported, makes something else, or could run commands; the error is the origin's.
    """
    path = origin.full_path(path)
    module_name, _, name = public_name(path).rpartition(".")
    _refuse_module(path, module_name, origin)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # the module's own code, which may raise anything
        found = {home: similar_names(name, dir(importlib.import_module(home))) for home in origin.homes}
        homes = sorted((f"{home}.{one}" for home in found for one in found[home]), key=lambda at: not at.endswith(name))
        hint = f"; did you mean {homes[0]}?" if homes else origin.failed_import(module_name, error)
        raise origin.error(f"is {path!r}, which cannot be imported{hint}") from error
    if not hasattr(module, name):
        names = makers({module_name: module}, annotation)
        raise origin.error(f"is {path!r}, which cannot be imported{origin.nearest(path, names)}")
    found = getattr(module, name)
    if may_stand(found, annotation):
        return found
    if is_standard(found):
        raise origin.error(f"is {path!r}, {STANDARD}")
    if stated_kinds(annotation) is ANYWHERE:
        raise origin.error(f"is {path!r}, {UNSTATED}")
    names = makers({home: importlib.import_module(home) for home in (module_name, *origin.homes)}, annotation)
    alike = [candidate for candidate in names if candidate.rpartition(".")[2].lower() == name.lower()]
    hint = f"; did you mean {alike[0]}?" if alike else origin.nearest(path, names)
    raise origin.error(f"is {path!r}, which makes no {public_path(stated_kinds(annotation)[0])}{hint}")


def _refuse_module(path: str, module: str, origin: Origin) -> None:
    """Refuse to import a module of the standard library, or a module that is a program."""
    if module.partition(".")[0] in sys.stdlib_module_names and path not in {public_path(one) for one in PLAIN}:
        raise origin.error(f"is {path!r}, {STANDARD}")
    if "__main__" in module.split("."):
        raise origin.error(f"is {path!r}, which is a program; name a class of a package by its import path.")


def as_data(value: Any) -> Any:
    """Return a default as data: classes by their import path, dataclasses as mappings."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return {"class_path": public_path(value), "init_args": {}}
    if dataclasses.is_dataclass(value):
        return {field.name: as_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return copy.deepcopy(value)


def _supplied(slot: Any) -> int:
    """Return how many arguments a slot supplies."""
    calls = [call for option in options(slot) if (call := call_of(option))]
    return len(calls[0][0]) if calls and isinstance(calls[0][0], list) else 0


def makers(modules: dict[str, types.ModuleType], annotation: Any) -> list[str]:
    """Return the import paths of what may stand in a slot of this type, as suggestions; ``Nothing`` is never suggested."""
    return [
        f"{home}.{name}"
        for home, module in modules.items()
        for name, one in inspect.getmembers(module)
        if (inspect.isclass(one) or inspect.isfunction(one)) and one is not Nothing and may_stand(one, annotation)
    ]


def _field_default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED if field.default is dataclasses.MISSING else field.default

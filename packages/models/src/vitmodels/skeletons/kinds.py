"""Which classes and functions may stand in a slot: what its type says, and what no slot takes.

A file names a part by its import path, and building the part calls it. Since a file must not be able to run commands, a part is a
class, or a function with a return annotation, from a package other than the standard library, and it makes what its slot holds. A
slot whose type does not say what it holds (``Any``, ``Callable``, no annotation) takes modules, optimizers and schedules.
"""

import collections.abc
import datetime
import decimal
import enum
import fractions
import inspect
import pathlib
import sys
import types
import typing
from typing import Any

import timm
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

VALUES = (
    *(str, int, float, list, dict, tuple, type(None)),
    *(pathlib.PurePath, datetime.timedelta, enum.Enum, torch.dtype, torch.device),
)
"""Types that are written as text, numbers, lists or mappings; any other class is a part."""

ANYWHERE = (nn.Module, Optimizer, LRScheduler)
"""What may stand in a slot whose type does not say what it holds."""

PLAIN = (datetime.timedelta, decimal.Decimal, fractions.Fraction)
"""The classes of the standard library that a part can be: making one computes a value and does nothing else."""


def options(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, flattened; any other type alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(option for inner in typing.get_args(annotation) for option in options(inner))
    return (annotation,)


def wanted_class(annotation: Any) -> type | None:
    """Return the class that a part must make; None if the slot's type does not say."""
    for option in options(annotation):
        call = call_of(option)
        if call is not None:
            returned = call[-1] if call else None
            return returned if inspect.isclass(returned) else None
        if is_kind(option):
            kind: type = option
            return kind
    return None


def takes_call(annotation: Any) -> bool:
    """Whether a value of this type is called, with the arguments that its slot supplies."""
    return any(call_of(option) is not None for option in options(annotation))


def is_kind(option: Any) -> bool:
    """Whether a type is a class that is made from a part, not written as a value."""
    return inspect.isclass(option) and option is not Any and not issubclass(option, VALUES)


def call_of(option: Any) -> tuple[Any, ...] | None:
    """Return the arguments of a Callable type, () for a bare one, None for any other type."""
    if option is collections.abc.Callable or typing.get_origin(option) is collections.abc.Callable:
        return typing.get_args(option)
    return None


def says_what_is_made(annotation: Any) -> bool:
    """Whether a type says what a class in its slot makes, or that the class itself is the value.

    ``Callable`` alone says neither, nor does a type that also accepts names.
    """
    told = any(call_of(one) or is_kind(one) or typing.get_origin(one) is type for one in options(annotation))
    return told and str not in options(annotation)


def may_stand(found: Any, annotation: Any) -> bool:
    """Whether a class or function may stand in a slot of this type."""
    if any(found is one for one in PLAIN):
        return stated_kinds(annotation) is ANYWHERE
    if is_standard(found):
        return False
    return makes(found, stated_kinds(annotation)) or _acts_on_an_argument(found, annotation)


def stated_kinds(annotation: Any) -> tuple[type, ...]:
    """Return the classes of which a slot takes subclasses: those that its type states, or else those of ``ANYWHERE``.

    A class of the standard library states nothing: everything is an ``object``, and most functions of all packages return None.
    """
    kinds = [wanted_class(option) for option in options(annotation)]
    return tuple(kind for kind in kinds if kind is not None and not is_standard(kind)) or ANYWHERE


def makes(found: Any, kinds: tuple[type, ...]) -> bool:
    """Whether ``found`` is a class of one of these kinds, or a function that states that it returns one, or a model of timm's."""
    made = _returned(found) if inspect.isfunction(found) else found
    return inspect.isclass(made) and issubclass(made, kinds)


def is_standard(found: Any) -> bool:
    """Whether a class, function or module is of Python's standard library, by whatever name it was reached."""
    home = found.__name__ if inspect.ismodule(found) else getattr(found, "__module__", None)
    return home is None or home.partition(".")[0] in sys.stdlib_module_names


def _acts_on_an_argument(found: Any, annotation: Any) -> bool:
    """Whether a function acts on its slot's argument and returns nothing, as a rule for a module's initial weights does."""
    calls = [call for option in options(annotation) if (call := call_of(option)) and isinstance(call[0], list)]
    if not calls or not calls[0][0] or not inspect.isfunction(found):
        return False
    supplied, returned = calls[0][0][0], calls[0][-1]
    hints = _hints(found)
    first = hints.get(next(iter(inspect.signature(found).parameters), ""))
    return (
        inspect.isclass(supplied)
        and not is_standard(supplied)
        and inspect.isclass(first)
        and issubclass(supplied, first)
        and not is_standard(first)
        and hints.get("return") in (returned, type(returned))  # None is written for its type
    )


def _returned(function: Any) -> Any:
    """Return the type that a function states to return; some of timm's model functions state none."""
    returned = _hints(function).get("return")
    name = function.__name__
    is_model = returned is None and timm.is_model(name) and timm.model_entrypoint(name) is function
    return nn.Module if is_model else returned


def _hints(found: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(found)
    except Exception:  # the annotations are text, which may hold anything
        return {}

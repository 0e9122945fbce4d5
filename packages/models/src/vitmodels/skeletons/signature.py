"""Builders whose own signature includes the arguments of another builder, with their types.

A signature is what YAML, ``vitcli`` and a reader see of a builder. Stating it once keeps the builders of a family alike.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any


def with_parameters(function: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> Callable[..., Any]:
    """Return ``function`` with other parameters in its signature; it is called with all of them by name, defaults included."""
    signature = inspect.signature(function).replace(parameters=list(parameters.values()))

    @functools.wraps(function)
    def typed(*arguments: Any, **named: Any) -> Any:
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        return function(**bound.arguments)

    del typed.__wrapped__  # the signature is that of ``typed``, not of what it calls
    typed.__signature__ = signature  # type: ignore[attr-defined]
    types = {name: one.annotation for name, one in parameters.items()}
    typed.__annotations__ = types | {"return": signature.return_annotation}
    return typed


def with_arguments_of(
    builder: Callable[..., Any], **instead: tuple[str, ...]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: the function's ``**arguments`` are those of ``builder``, and its signature says so.

    Args:
        builder: A builder with a typed signature.
        **instead: For an argument of the builder, the function's own arguments that replace it in the signature.
    """
    theirs = inspect.signature(builder).parameters

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(function).parameters
        names = [name for one in theirs for name in instead.get(one, (one,))]
        return with_parameters(function, {name: own.get(name) or theirs[name] for name in names})

    return decorate

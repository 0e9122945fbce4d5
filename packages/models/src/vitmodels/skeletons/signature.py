"""Builders that take over another builder's arguments, with their types, in their own signature.

A signature is what YAML, ``vitcli`` and a reader see of a builder. Stating it once keeps the builders of a family alike.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Builder = TypeVar("Builder", bound=Callable[..., Any])


def set_signature(function: Builder, parameters: Mapping[str, inspect.Parameter], made: Any) -> Builder:
    """Give a function the signature and the annotations of ``parameters`` and of the type that it returns."""
    function.__signature__ = inspect.Signature(list(parameters.values()), return_annotation=made)  # type: ignore[attr-defined]
    types = {name: one.annotation for name, one in parameters.items()}
    function.__annotations__ = types | {"return": made}
    return function


def with_arguments_of(builder: Callable[..., Any], **instead: tuple[str, ...]) -> Callable[[Builder], Builder]:
    """Return a decorator: the function's ``**arguments`` are those of ``builder``, and its signature says so.

    Args:
        builder: A builder with a typed signature.
        **instead: For an argument of the builder, the function's own arguments that stand at its place in the signature.
    """
    theirs = inspect.signature(builder).parameters

    def decorate(function: Builder) -> Builder:
        signature = inspect.signature(function)
        names = [name for one in theirs for name in instead.get(one, (one,))]
        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        found = {name: (signature.parameters.get(name) or theirs[name]).replace(kind=positional) for name in names}
        return set_signature(function, found, signature.return_annotation)

    return decorate

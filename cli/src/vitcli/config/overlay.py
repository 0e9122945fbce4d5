"""Laying values over a configuration: the overlay of ``vitmodels.skeletons.overlay``, with the types of all values checked."""

import re
import typing
from collections.abc import Mapping
from typing import Any

from jsonargparse import ArgumentParser

from vitcli.config.errors import refuse_non_finite
from vitcli.config.origin import Origin
from vitmodels.skeletons.entries import Entry, import_part, options, wanted_class
from vitmodels.skeletons.overlay import Overlay, check_kind

__all__ = ["checked_value", "lay_over", "tidy", "words_of"]


def lay_over(
    config: dict[str, Any],
    schema: dict[str, Entry],
    values: Mapping[str, Any],
    place: str,
    kind: type[Origin] = Origin,
) -> None:
    """Lay ``values`` over ``config`` in place.

    Args:
        config: What is set so far.
        schema: The entries at the top.
        values: Nested mappings, dotted keys, or both.
        place: Where the values come from, for messages.
        kind: What the origin of a value is; it knows which classes may be named without their package.

    Raises:
        ConfigError: A key is unknown, a class cannot be imported or is of the wrong kind, or a value has the wrong type.
    """
    for key, value in values.items():
        refuse_non_finite(place, str(key), value)
    Overlay(checked_value).lay(config, schema, values, kind(place, ""))


def checked_value(annotation: Any, value: Any, origin: Origin) -> Any:
    """Return a plain value after checking its type; a whole number where a float belongs becomes one.

    Raises:
        ConfigError: The value has another type.
    """
    # The parser would take the first of several types that fits; Python orders equal unions as the first import did, so that
    # of `int | float` 2 may become 2.0: another configuration, for some arguments of the trainer another meaning.
    if annotation is Any or (isinstance(value, int | float) and type(value) in options(annotation)):
        return value
    if isinstance(value, str) and value in words_of(annotation):
        return value
    check_kind(annotation, value, origin)
    parser = ArgumentParser(exit_on_error=False)
    try:
        parser.add_argument("--value", type=annotation)
        parsed = parser.parse_object({"value": value}).value
    except Exception as error:
        if isinstance(value, str) and wanted_class(annotation) and not {str, int, float} & set(options(annotation)):
            import_part(value, annotation, origin)  # where numbers and text cannot stand, a class was meant
        raise origin.error(f"is {value!r}; {_expected(annotation, str(error))}.") from error
    # The text "~" or "null" is no text for a type that has none: the parser makes it None.
    return tidy(annotation, parsed if parsed is None or isinstance(parsed, int | float | str | tuple) else value)


def _expected(annotation: Any, complaint: str) -> str:
    """Return what a value should have been, from what jsonargparse says."""
    found = re.findall(r"Expected (?:an? )?(.+?)(?:\. Got value|\.\n|\.$|\n|$)", complaint)
    kinds = dict.fromkeys(re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text).strip(" .") for text in found)
    # Where a number may be a tensor too, the parser offers the import path of one.
    kinds = {kind: None for kind in kinds if "import path" not in kind}
    pair = next((typing.get_args(one) for one in options(annotation) if typing.get_origin(one) is tuple), ())
    if "tuple" in kinds and pair and Ellipsis not in pair:
        parts = ", ".join(getattr(one, "__name__", str(one)) for one in pair)
        kinds = {f"a list of {len(pair)} values ({parts})" if kind == "tuple" else kind: None for kind in kinds}
    shown = [re.sub(r"^typing\.Literal\[(.*)\]$", r"\1", kind).replace("NoneType", "null") for kind in kinds]
    return f"expected {' or '.join(shown)}" if shown else "it has the wrong type"


def words_of(annotation: Any) -> tuple[Any, ...]:
    """Return the values that a type lists, as ``Literal["masked", "seen"]`` does."""
    listed = (typing.get_args(one) for one in options(annotation) if typing.get_origin(one) is typing.Literal)
    return tuple(value for values in listed for value in values)


def tidy(annotation: Any, value: Any) -> Any:
    """Return a value as it is written down: a float where the type says so, a list for a tuple."""
    if isinstance(value, tuple):
        value = list(value)
    types = options(annotation)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and float in types and int not in types else value

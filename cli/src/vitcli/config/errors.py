"""Errors about bad input: one sentence that names place, key and value, and the nearest valid name."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LONGEST = 800
"""Most characters of a message; longer ones are shortened, since a value may be a whole file."""


class ConfigError(ValueError):
    """Bad input. The text is one sentence for the user, on one line; commands print it and end with exit code 2.

    Args:
        text: The sentence.
        details: A few lines below it, such as what of a file does not fit.
    """

    def __init__(self, text: str, details: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join(_one_line(line) for line in (text, *details)))


def _one_line(text: str) -> str:
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST * 2 // 3]} ... {line[-LONGEST // 3 :]}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return "; did you mean X?" for the valid name most like ``name``, or a list of a few valid names."""
    names = sorted(set(valid))
    close = alike(name, names)
    if close != ".":
        return close
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    if len(names) == 1:
        return f"; expected {names[0]}."
    return f"; valid names are {shown}." if names else "; nothing can be set there."


def alike(value: Any, valid: Iterable[str]) -> str:
    """Return "; did you mean X?" for the valid name most like a value, or "." if none is like it."""
    names = sorted(set(valid))
    lowered = {candidate.lower(): candidate for candidate in names}
    name = value if isinstance(value, str) else ""
    close = difflib.get_close_matches(name, names, n=1) or [
        lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=1)
    ]
    return f"; did you mean {close[0]}?" if close else "."


def refuse_non_finite(place: str, key: str, value: Any) -> None:
    """Refuse NaN and infinity anywhere in a value, since JSON cannot record them.

    Raises:
        ConfigError: A number in the value is not finite.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{place}: {key} is {value!r}; expected a finite number.")
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        refuse_non_finite(place, f"{key}.{name}", one)


NUMBERS = ("int", "float", "bool", "null")
WORDS = ("null", "true", "false", "inf", "nan", "infinity")
"""Words that may stand for a number, for a truth value or for nothing, whatever their letters' case."""


def refuse_words(place: str, key: str, value: Any, kinds: Sequence[str]) -> None:
    """Refuse a word where only numbers or truth values can stand; the complete reading checks all other types.

    Raises:
        ConfigError: The value is such a word.
    """
    if isinstance(value, str) and value.isalpha() and value.lower() not in WORDS and set(kinds) <= set(NUMBERS):
        raise ConfigError(f"{place}: {key} is {value!r}; expected {' or '.join(kinds)}.")

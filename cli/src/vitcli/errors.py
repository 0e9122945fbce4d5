"""What a user gets for bad input: one sentence that names place, key and value, and the nearest valid name."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """Bad input. Its text is one sentence for the user; commands print it and end with exit code 2."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return "; did you mean X?" for the valid name most like ``name``, or a list of a few valid names."""
    names = sorted(set(valid))
    lowered = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name, names, n=1) or [
        lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=1)
    ]
    if close:
        return f"; did you mean {close[0]}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    if len(names) == 1:
        return f"; expected {names[0]}."
    return f"; valid names are {shown}." if names else "; nothing can be set there."

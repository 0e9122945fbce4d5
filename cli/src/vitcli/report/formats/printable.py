"""Text that is safe on any page: logs contain the colours of terminals, and names may contain anything."""

import re

_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b.")


def printable(text: str) -> str:
    """Return one line without terminal commands; other characters that cannot be shown become a question mark."""
    kept = _TERMINAL.sub("", text).expandtabs(4)
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in kept)

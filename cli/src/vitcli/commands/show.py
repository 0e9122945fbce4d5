"""``vitcli show attention``: draw which tokens a query sees in an op."""

from vitcli.config.command_line import COMMAND_LINE
from vitcli.config.errors import ConfigError, nearest


def main(words: list[str]) -> int:
    """Run ``vitcli show`` and return its exit code.

    Args:
        words: Words after ``vitcli show``.

    Raises:
        ConfigError: The input is bad; nothing has been written.
    """
    if not words or words[0] != "attention":
        shown = f"show knows no {words[0]!r}" if words else "show needs a subject"
        raise ConfigError(f"{COMMAND_LINE}: {shown}{nearest(words[0] if words else '', ['attention'])}")
    rest = [word for word in words[1:] if word != "--all"]
    all_ops = len(rest) < len(words) - 1
    named = bool(rest) and not rest[0].startswith("-")
    if named == all_ops:
        raise ConfigError(f"{COMMAND_LINE}: show attention needs either an op, for example PaleAttention, or --all.")
    from vitcli.show.request import draw

    if all_ops:
        draw(None, rest)
    else:
        draw(rest[0], rest[1:])
    return 0

"""``vitcli completion SHELL``: the script with which a shell completes commands, options and files."""

import argparse
import re

import shtab

from vitcli.config.command_line import COMMAND_LINE
from vitcli.config.errors import ConfigError, alike
from vitcli.table import COMMANDS, Command

SHELLS = ("bash", "zsh", "fish")


def main(words: list[str]) -> int:
    """Print the script of a shell and return exit code 0.

    Args:
        words: Words after ``vitcli completion``.

    Raises:
        ConfigError: They are not the name of one of the shells.
    """
    if len(words) != 1 or words[0] not in SHELLS:
        given = alike(words[0], SHELLS) if words else "."
        raise ConfigError(f"{COMMAND_LINE}: completion needs the name of a shell: {', '.join(SHELLS)}{given}")
    print(shtab.complete(_parser(), words[0]))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the table of commands as a parser, which only shtab reads."""
    parser = argparse.ArgumentParser("vitcli")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        inner = commands.add_parser(name, help=command.help, description=command.help)
        for words, meaning in command.options:
            for option in words.split(", "):
                _add(inner, option, meaning, command)
        files = inner.add_argument("files", nargs="*")
        if name == "completion":
            files.choices = SHELLS
        else:
            files.complete = shtab.FILE  # type: ignore[attr-defined]
    return parser


def _add(parser: argparse.ArgumentParser, option: str, meaning: str, command: Command) -> None:
    """Add an option such as ``--weights ema|last``; names that stand for any key, such as ``--KEY``, are left out."""
    name, _, value = option.partition(" ")
    if not name.startswith("--") or re.search("[A-Z]", name) or name == "--help":
        return
    if not value:
        parser.add_argument(name, action="store_true", help=meaning)
        return
    listed = re.search(rf"{name} (\w+(?:\|\w+)+)", f"{option} {command.usage}")
    added = parser.add_argument(name, help=meaning, choices=listed[1].split("|") if listed else None)
    if value in ("FILE", "DIR", "PATH"):
        added.complete = shtab.DIRECTORY if value == "DIR" else shtab.FILE  # type: ignore[attr-defined]

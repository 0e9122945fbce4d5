"""Names that a configuration gives and that become folders: of arms, of factors and their levels, of an ablation, of results."""

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

from vitcli.config.errors import ConfigError

LONGEST_NAME = 100
"""Longest name in letters: with what vitcli adds, it must fit into a file name, which has at most 255 bytes."""

FORBIDDEN = re.compile(r'[/\\:*?"<>|\s]|^\.|^-|\.$|^$')
FOLDER_NAME = "use letters, digits, _ and -, in quotes where YAML reads a word as something else (it names a folder)."

OWN_FILES = re.compile(r"mean|ablation|events\.out.*|.*\.(json|md|html|tex|csv|png|svg|ya?ml|ckpt|txt)")
"""Files and folders beside those of the arms: the record, the report, its figures, and TensorBoard's files."""


def name_fault(name: Any) -> str:
    """Return why a name cannot be the name of a folder, for a message; empty for a valid name."""
    if not isinstance(name, str) or FORBIDDEN.search(name) or not name.isprintable():
        return FOLDER_NAME
    if len(name) > LONGEST_NAME or len(name.encode()) > 2 * LONGEST_NAME:
        return f"it has {len(name)} letters, and a folder's name can have {LONGEST_NAME}; shorten it."
    if OWN_FILES.fullmatch(folder_key(name)):
        return "that is the name of a file or folder of the report; give it another name."
    return ""


def folder_key(name: str) -> str:
    """Return the form of a name in which case-insensitive file systems compare it."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def run_name(file: str) -> str:
    """Return the name that a configuration file gives to the folder of its results: its own, without the ending.

    Raises:
        ConfigError: A folder cannot have this name.
    """
    name = Path(file).stem
    if name.startswith((".", "-")) or not name.isprintable():
        raise ConfigError(f"{file}: the results would lie in a folder named {name!r}; give the file another name.")
    return name


def refuse_long_path(place: str, key: str, path: str) -> None:
    """Refuse a path that no file can have.

    Raises:
        ConfigError: A part of it or the whole is too long, or has a letter that cannot be printed.
    """
    longest = max((len(os.fsencode(part)) for part in Path(path).parts), default=0)
    if longest > 255 or len(os.fsencode(path)) > 4000:
        raise ConfigError(f"{place}: {key} is {path!r}, which is too long for a path; shorten it.")
    if not path.isprintable():
        raise ConfigError(f"{place}: {key} is {path!r}, which has a letter that cannot be printed; write another path.")

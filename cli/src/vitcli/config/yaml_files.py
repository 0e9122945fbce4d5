"""Reading YAML: repeated keys are refused, 1e-3 is a number, and a value that names a YAML file stands for its content."""

import difflib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vitcli.config.errors import ConfigError

CORE = "tag:yaml.org,2002:"
TAGS = {f"{CORE}{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge")}
"""Tags of the values that a configuration may contain."""

KINDS = {"seq": yaml.SequenceNode, "map": yaml.MappingNode}
"""The kind of node that a tag stands for; all other tags are for scalars."""

MOST_BYTES = 1_000_000
MOST_VALUES = 100_000
MOST_FILES = 1_000
MOST_LEVELS = 100
MOST_DIGITS = 100
"""Largest file, most values with all aliases written out, most included files, deepest nesting, longest number: more is a mistake
or an attack."""

OLD_NUMBERS = {
    re.compile(r"[-+]?0[0-7_]+"): "YAML reads a number that begins with 0 as octal",
    re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"): "YAML reads a number with a colon to the base of 60",
}
"""Spellings of numbers that YAML 1.1 reads as other numbers than people do, and the reason."""


class _Loader(yaml.SafeLoader):
    """A safe YAML loader that takes plain values only and limits how many values the aliases expand to."""

    def get_single_node(self) -> yaml.Node | None:
        """Return the document's tree.

        Raises:
            ConfigError: The document has a tag for anything but a plain value, contains itself, or has too many values.
        """
        node = super().get_single_node()
        if node is not None:
            self._count(node, {}, 0)
        return node

    def _count(self, node: yaml.Node, known: dict[int, int], depth: int) -> int:
        """Return the number of values in a node, with its aliases written out."""
        where = self._where(node)
        self._check_tag(node)
        if depth > MOST_LEVELS:
            raise ConfigError(f"{where}: the values are nested too deeply; expected at most {MOST_LEVELS} levels.")
        if id(node) in known:
            if known[id(node)] == 0:
                raise ConfigError(f"{where}: the value contains itself through an alias; write it out.")
            return known[id(node)]
        known[id(node)] = 0
        inner = [one for pair in node.value for one in pair] if isinstance(node, yaml.MappingNode) else node.value
        total = 1
        if not isinstance(node, yaml.ScalarNode):
            total += sum(self._count(one, known, depth + 1) for one in inner)
        if total > MOST_VALUES:
            raise ConfigError(f"{where}: there are more than {MOST_VALUES:,} values with the aliases written out.")
        known[id(node)] = total
        return total

    def _where(self, node: yaml.Node) -> str:
        return f"{self.name}, line {node.start_mark.line + 1}"

    def _check_tag(self, node: yaml.Node) -> None:
        where, tag = self._where(node), node.tag.replace(CORE, "!!")
        if node.tag not in TAGS:
            raise ConfigError(
                f"{where}: the tag {tag} is not allowed; write plain values, and a class by its import path."
            )
        if not isinstance(node, KINDS.get(tag.removeprefix("!!"), yaml.ScalarNode)):
            raise ConfigError(f"{where}: the tag {tag} stands before a value of another kind; leave it out.")
        if isinstance(node, yaml.ScalarNode):
            _refuse_letters(node.value, where)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Return the value of a node.

        Raises:
            ConfigError: It is a number that people read differently, is too long, or does not match its tag.
        """
        if node.tag in (f"{CORE}int", f"{CORE}float"):
            self._refuse_number(node)
        try:
            return super().construct_object(node, deep=deep)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            if isinstance(error, ConfigError) or not isinstance(node, yaml.ScalarNode):
                raise
            tag = node.tag.replace(CORE, "!!")
            raise ConfigError(
                f"{self._where(node)}: {node.value!r} is not a {tag}; write the value without a tag."
            ) from error

    def _refuse_number(self, node: yaml.Node) -> None:
        text = node.value
        if len(text) > MOST_DIGITS:
            raise ConfigError(
                f"{self._where(node)}: a number has {len(text):,} digits; expected at most {MOST_DIGITS}."
            )
        reason = next((reason for spelling, reason in OLD_NUMBERS.items() if spelling.fullmatch(text)), None)
        value = super().construct_object(node) if reason else None
        if reason and (":" in text or value != int(text.replace("_", ""))):
            raise ConfigError(
                f"{self._where(node)}: {text} is {value!r}, since {reason}; write {value!r} if you mean that number, "
                f"{_as_read(text)}or '{text}' in quotes for text."
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            merge = key_node.tag == f"{CORE}merge"
            key = "<<" if merge else self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float | bool):
                if key in seen:
                    raise ConfigError(
                        f"{self._where(key_node)}: {key!r} is given twice, first in line {seen[key]}; keep one of them."
                    )
                seen[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)


def _as_read(text: str) -> str:
    """Return the advice for a number that was meant as it looks: 010 as 10."""
    return "" if ":" in text else f"{int(text.replace('_', ''))} without the 0 in front, "


def _refuse_letters(text: str, where: str) -> None:
    """Refuse text that no file and no file name can contain."""
    if "\0" in text:
        raise ConfigError(f"{where}: a value holds a zero byte; remove it.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ConfigError(
            f"{where}: {text!a} holds half of a surrogate pair, which is not UTF-8; write the character whole."
        )


# YAML 1.1 reads 1e-3 as text, but a learning rate is a number.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


# A date stays text: no key of a configuration is a date, and JSON cannot record one.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in TAGS]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def parse_value(text: str, place: str) -> Any:
    """Return the value of a command-line argument, read as YAML.

    Text that is not valid YAML stays text; the name of a YAML file stands for its content.

    Raises:
        ConfigError: A key is given twice, the value is not plain data, or a file cannot be read.
    """
    _refuse_letters(text, place)
    try:
        loader = _Loader(text)
        loader.name = place
        value = loader.get_single_data()
    except yaml.YAMLError:
        return text
    except RecursionError:
        raise ConfigError(f"{place}: a value is nested too deeply.") from None
    return _include(value, Path(), (), itertools.count(1))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a mapping from a YAML file; values that end in .yaml are replaced by those files, relative to this one.

    Raises:
        ConfigError: The file cannot be read, is not a mapping, repeats a key, includes itself, or is too large.
    """
    return _read(Path(path), (), itertools.count(1))


def _read(path: Path, including: tuple[Path, ...], files: Iterator[int]) -> dict[str, Any]:
    if "\0" in str(path):
        raise ConfigError(f"{including[-1] if including else path}: a file's name holds a zero byte.")
    if os.path.realpath(path) in map(os.path.realpath, including):
        chain = " -> ".join(p.name for p in (*including, path))
        raise ConfigError(f"{path}: the file includes itself ({chain}); remove one of these references.")
    if next(files) > MOST_FILES:
        raise ConfigError(f"{including[0]}: more than {MOST_FILES:,} files are included, one by the other.")
    try:
        content = _content(path)
    except FileNotFoundError:
        siblings = [str(p) for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        if path.parent == Path():  # the bare name of an ablation is meant
            siblings += map(str, Path("ablations").glob("*.yaml"))
        named = f"{including[-1]}: names {path}, but " if including else f"{path}: "
        raise ConfigError(f"{named}there is no such file{_nearest_file(path, siblings)}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None)
        raise ConfigError(f"{path}: the file cannot be read ({reason or error}).") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_line(error)}: this is not valid YAML ({_fault(error)}).") from error
    except RecursionError:
        raise ConfigError(f"{path}: its values are nested too deeply.") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        what = "a list" if isinstance(content, list) else f"the value {content!r}"
        raise ConfigError(
            f"{path}: the file holds {what}; expected keys and values, such as trainer: {{max_epochs: 3}}."
        )
    return {key: _include(value, path, (*including, path), files) for key, value in content.items()}


def _content(path: Path) -> Any:
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file"
        raise ConfigError(f"{path}: the file cannot be read (it is {what}).")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ConfigError(f"{path}: the file has {size:,} bytes; a configuration has at most {MOST_BYTES:,}.")
    with path.open(encoding="utf-8") as stream:
        return yaml.load(stream, _Loader)


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _fault(error: yaml.YAMLError) -> str:
    if "'\\t'" in (getattr(error, "problem", None) or ""):
        return "a line begins with a tab; indent with spaces"
    parts = [getattr(error, name, None) for name in ("context", "problem")]
    return ": ".join(part for part in parts if part) or " ".join(str(error).split())


def _include(value: Any, path: Path, including: tuple[Path, ...], files: Iterator[int]) -> Any:
    if isinstance(value, str) and value.endswith((".yaml", ".yml")):
        return _read(path.parent / value, including, files)
    if isinstance(value, dict):
        return {key: _include(inner, path, including, files) for key, inner in value.items()}
    return value


def _nearest_file(path: Path, siblings: list[str]) -> str:
    """Return the end of a sentence about a missing file: the file beside it with a similar name, if there is one."""
    names = {sibling.name: sibling for sibling in map(Path, siblings)}
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {names[close[0]]}?" if close else "; check the path."

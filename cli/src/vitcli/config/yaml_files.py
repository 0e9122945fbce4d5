"""Reading YAML: repeated keys are refused, 1e-3 is a number, and a value that names a YAML file is that file's content."""

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vitcli.config.errors import ConfigError, nearest

CORE = "tag:yaml.org,2002:"
TAGS = {f"{CORE}{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge")}
"""What a configuration is made of."""

MOST_BYTES = 1_000_000
MOST_VALUES = 100_000
MOST_FILES = 1_000
"""A file, its values with every alias written out, and the files that it includes, at most: more is a slip or a trap."""


class _Loader(yaml.SafeLoader):
    """Safe YAML without silent surprises: plain values only, and no more of them than the text shows."""

    def get_single_node(self) -> yaml.Node | None:
        """Return the document's tree.

        Raises:
            ConfigError: It holds a tag that makes something else of a value, itself, or too many values.
        """
        node = super().get_single_node()
        if node is not None:
            self._count(node, {})
        return node

    def _count(self, node: yaml.Node, known: dict[int, int]) -> int:
        """Return how many values a node holds when its aliases are written out."""
        where = f"{self.name}, line {node.start_mark.line + 1}"
        if node.tag not in TAGS:
            tag = node.tag.replace(CORE, "!!")
            raise ConfigError(f"{where}: the tag {tag} is not taken; write plain values, a class by its import path.")
        if id(node) in known:
            if known[id(node)] == 0:
                raise ConfigError(f"{where}: the value holds itself by an alias; write it out.")
            return known[id(node)]
        known[id(node)] = 0
        inner = [one for pair in node.value for one in pair] if isinstance(node, yaml.MappingNode) else node.value
        total = 1 + (0 if isinstance(node, yaml.ScalarNode) else sum(self._count(one, known) for one in inner))
        if total > MOST_VALUES:
            raise ConfigError(f"{where}: there are more than {MOST_VALUES:,} values with the aliases written out.")
        known[id(node)] = total
        return total

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float | bool) and key in seen:
                raise ConfigError(
                    f"{self.name}, line {key_node.start_mark.line + 1}: {key!r} is given twice, first in line {seen[key]}; "
                    "keep one of them."
                )
            if isinstance(key, str | int | float | bool):
                seen[key] = key_node.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)


# YAML 1.1 takes 1e-3 for text; people who write learning rates do not.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


# A date stays text: no entry takes one, and a record could not hold it.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in TAGS]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def parse_value(text: str, place: str) -> Any:
    """Return the value of an argument, as YAML reads it; text that is no YAML stays text, the name of a file its content.

    Raises:
        ConfigError: A key in it is given twice, it holds what a file may not hold, or a file cannot be read.
    """
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
        ConfigError: The file cannot be read, is no mapping, repeats a key, includes itself, or holds more than a person writes.
    """
    return _read(Path(path), (), itertools.count(1))


def _read(path: Path, including: tuple[Path, ...], files: Iterator[int]) -> dict[str, Any]:
    if "\0" in str(path):
        raise ConfigError(f"{including[-1] if including else path}: a file's name holds a zero byte.")
    if os.path.realpath(path) in map(os.path.realpath, including):
        chain = " -> ".join(p.name for p in (*including, path))
        raise ConfigError(f"{path}: the file includes itself ({chain}); break the circle.")
    if next(files) > MOST_FILES:
        raise ConfigError(f"{including[0]}: more than {MOST_FILES:,} files are included, one by the other.")
    try:
        content = _content(path)
    except FileNotFoundError:
        siblings = [str(p) for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        named = f"{including[-1]}: names {path}, but " if including else f"{path}: "
        raise ConfigError(f"{named}there is no such file{_nearest_file(path, siblings)}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None)
        raise ConfigError(f"{path}: the file cannot be read ({reason or error}).") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_line(error)}: this is no valid YAML ({_fault(error)}).") from error
    except RecursionError:
        raise ConfigError(f"{path}: its values are nested too deeply.") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(content).__name__}.")
    return {key: _include(value, path, (*including, path), files) for key, value in content.items()}


def _content(path: Path) -> Any:
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no file on a disk"
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
    told = [getattr(error, name, None) for name in ("context", "problem")]
    return ": ".join(one for one in told if one) or " ".join(str(error).split())


def _include(value: Any, path: Path, including: tuple[Path, ...], files: Iterator[int]) -> Any:
    if isinstance(value, str) and value.endswith((".yaml", ".yml")):
        return _read(path.parent / value, including, files)
    if isinstance(value, dict):
        return {key: _include(inner, path, including, files) for key, inner in value.items()}
    return value


def _nearest_file(path: Path, siblings: list[str]) -> str:
    return nearest(str(path), siblings) if siblings else "; check the path."

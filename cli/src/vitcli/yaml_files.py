"""Reading YAML: repeated keys are refused, 1e-3 is a number, and a value that names a YAML file is that file's content."""

import re
from pathlib import Path
from typing import Any

import yaml

from vitcli.errors import ConfigError, nearest


class _Loader(yaml.SafeLoader):
    """Safe YAML without silent surprises."""

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


def parse_value(text: str, place: str) -> Any:
    """Return the value of an argument, as YAML reads it; text that is no YAML stays text, the name of a file its content.

    Raises:
        ConfigError: A key in it is given twice, or a file cannot be read.
    """
    try:
        loader = _Loader(text)
        loader.name = place
        value = loader.get_single_data()
    except yaml.YAMLError:
        return text
    return _include(value, Path(), ())


def read_yaml(path: str | Path, including: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a mapping from a YAML file; values that end in .yaml are replaced by those files, relative to this one.

    Raises:
        ConfigError: The file cannot be read, is no mapping, repeats a key, or includes itself.
    """
    path = Path(path)
    if path.resolve() in [file.resolve() for file in including]:
        chain = " -> ".join(p.name for p in (*including, path))
        raise ConfigError(f"{path}: the file includes itself ({chain}); break the circle.")
    try:
        with path.open(encoding="utf-8") as stream:
            content = yaml.load(stream, _Loader)
    except FileNotFoundError:
        siblings = [str(p) for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        named = f"{including[-1]}: names {path}, but " if including else f"{path}: "
        raise ConfigError(f"{named}there is no such file{_nearest_file(path, siblings)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the file cannot be read ({error}).") from error
    except yaml.YAMLError as error:
        detail = " ".join(str(error).split())
        raise ConfigError(f"{path}: this is no valid YAML ({detail}).") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(content).__name__}.")
    return {key: _include(value, path, (*including, path)) for key, value in content.items()}


def _include(value: Any, path: Path, including: tuple[Path, ...]) -> Any:
    if isinstance(value, str) and value.endswith((".yaml", ".yml")):
        return read_yaml(path.parent / value, including)
    if isinstance(value, dict):
        return {key: _include(inner, path, including) for key, inner in value.items()}
    return value


def _nearest_file(path: Path, siblings: list[str]) -> str:
    return nearest(str(path), siblings) if siblings else "; check the path."

"""What ``vitcli show attention`` is asked to draw: an op with its arguments, the map, the query and the file."""

import re
from pathlib import Path
from typing import Any

from torch import nn

from vitcli.config.command_line import COMMAND_LINE, parse_arguments
from vitcli.config.errors import ConfigError
from vitcli.config.origin import Origin
from vitcli.config.overlay import lay_over
from vitcli.show.attention import OpToShow, TokenMap, draw_each, draw_overview, show_op
from vitcli.show.build import OpOrigin, find_op, settable
from vitcli.show.gallery import drawn_with
from vitmodels.skeletons.entries import Entry

ENDINGS = (".png", ".svg")
SETTINGS = {
    "height": Entry(int, 16),
    "width": Entry(int, 16),
    "query": Entry(str | int | None, None),
    "channels": Entry(int, 64),
    "out": Entry(str | None, None),
}


def draw(op_name: str | None, words: list[str]) -> None:
    """Draw an op, or all ops of vitcore.

    Args:
        op_name: The op's name or import path; None for all ops.
        words: The options.

    Raises:
        ConfigError: The input is bad; nothing has been written.
    """
    if op_name is None:
        _show_all(_settings(words, None))
    else:
        op = find_op(op_name, Origin(COMMAND_LINE, "OP"))
        _show_one(op, _settings(words, op))


def _show_one(op: type[nn.Module], settings: dict[str, Any]) -> None:
    path = None if settings["out"] is None else _picture_path(settings["out"])
    arguments = settings["init"] or (drawn_with(op) if settings["channels"] == SETTINGS["channels"].default else {})
    show_op(OpToShow(op, arguments), _token_map(settings), path)
    if path is not None:
        print(f"Picture: {path}")


def _show_all(settings: dict[str, Any]) -> None:
    if settings["out"] is None:
        raise ConfigError(f"{COMMAND_LINE}: show attention --all needs --out with a .png or .svg file, or a directory.")
    out = Path(settings["out"])
    if out.is_file() or (out.suffix and not out.is_dir()):
        draw_overview(_token_map(settings), _picture_path(settings["out"]))
        print(f"Picture: {out}")
    else:
        draw_each(_token_map(settings), out)
        print(f"Pictures: {out}")


def _settings(words: list[str], op: type[nn.Module] | None) -> dict[str, Any]:
    """Return every setting, its name and type checked."""
    schema = SETTINGS if op is None else {**SETTINGS, "init": Entry(dict, {}, group=settable(op))}
    settings: dict[str, Any] = {name: entry.default for name, entry in SETTINGS.items()} | {"init": {}}
    arguments = parse_arguments(words)
    if arguments.files:
        raise ConfigError(
            f"{COMMAND_LINE}: show reads no configuration; set the op's arguments with --init.NAME VALUE."
        )
    lay_over(settings, schema, arguments.overrides, COMMAND_LINE, OpOrigin)
    return settings


def _token_map(settings: dict[str, Any]) -> TokenMap:
    """Return the map that the settings describe, its ranges checked."""
    for name in ("height", "width", "channels"):
        if settings[name] < 1:
            raise ConfigError(f"{COMMAND_LINE}: {name} is {settings[name]}; expected at least 1.")
    h, w = settings["height"], settings["width"]
    return TokenMap(h, w, settings["channels"], _query(settings["query"], h, w))


def _query(text: str | int | None, h: int, w: int) -> tuple[int, int]:
    """Return row and column. The default lies off the centre, where windows and neighbourhoods look different."""
    if text is None:
        return h // 3, w * 2 // 3
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", str(text))
    if match is None:
        raise ConfigError(f"{COMMAND_LINE}: query is {text!r}; expected ROW,COLUMN, for example 3,5.")
    row, column = int(match[1]), int(match[2])
    if row >= h or column >= w:
        raise ConfigError(
            f"{COMMAND_LINE}: query is {row},{column}, which is outside the map of {h} x {w} tokens; "
            f"expected a row in 0..{h - 1} and a column in 0..{w - 1}."
        )
    return row, column


def _picture_path(out: str) -> Path:
    path = Path(out)
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{COMMAND_LINE}: out is {out!r}; expected a file that ends in {' or '.join(ENDINGS)}.")
    if not path.parent.is_dir():
        raise ConfigError(
            f"{COMMAND_LINE}: out is {out!r}, but the directory {str(path.parent)!r} does not exist; create it first."
        )
    return path

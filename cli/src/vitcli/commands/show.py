"""``vitcli show attention``: its arguments, and what it prints and writes."""

import re
from pathlib import Path
from typing import Any

from torch import nn

from vitcli.config.command_line import COMMAND_LINE, parse_arguments
from vitcli.config.entries import Entry, Origin
from vitcli.config.errors import ConfigError, nearest
from vitcli.config.overlay import lay_over
from vitcli.show.build import build_op, find_op, settable, told
from vitcli.show.gallery import FAMILIES, MORE, Example
from vitcli.show.measure import Sight, measure

HELP = """\
usage: vitcli show attention OP [--init.NAME VALUE ...] [--height H] [--width W] [--query ROW,COLUMN] [--channels C]
                                [--out FILE.png|FILE.svg]
       vitcli show attention --all --out FILE.png|FILE.svg|DIR

Draw the tokens that a query sees in OP, measured by gradient: in the terminal, and as a picture if --out is given.
OP is an op of vitcore (PaleAttention) or an import path; --init.NAME sets its arguments. With --all, vitcore's ops are
drawn side by side into one file, or each into a file of its own in a directory.
The map has 16 x 16 tokens of 64 channels unless --height, --width and --channels (the op's width) say otherwise.
"""

ENDINGS = (".png", ".svg")
MAP = {
    "height": Entry(int, 16),
    "width": Entry(int, 16),
    "query": Entry(str | int | None, None),
    "channels": Entry(int, 64),
    "out": Entry(str | None, None),
}


def main(words: list[str]) -> int:
    """Run ``vitcli show`` and return its exit code.

    Args:
        words: Arguments after ``vitcli show``.

    Raises:
        ConfigError: The input is bad; nothing has been written.
    """
    if not words or {"-h", "--help", "help"} & set(words):
        print(HELP, end="")
        return 0 if words else 2
    if words[0] != "attention":
        raise ConfigError(f"{COMMAND_LINE}: show knows no {words[0]!r}{nearest(words[0], ['attention'])}")
    rest = [word for word in words[1:] if word != "--all"]
    every = len(rest) < len(words) - 1
    named = bool(rest) and not rest[0].startswith("-")
    if named == every:
        raise ConfigError(f"{COMMAND_LINE}: show attention needs either an op, for example PaleAttention, or --all.")
    if every:
        return _show_all(_settings(rest, None))
    op = find_op(rest[0], Origin(COMMAND_LINE, "OP"))
    return _show(op, _settings(rest[1:], op))


def _settings(words: list[str], op: type[nn.Module] | None) -> dict[str, Any]:
    """Return every setting, checked by name, type and range."""
    schema = MAP if op is None else {**MAP, "init": Entry(dict, {}, group=settable(op))}
    settings: dict[str, Any] = {name: entry.default for name, entry in MAP.items()} | {"init": {}}
    arguments = parse_arguments(words)
    if arguments.files:
        raise ConfigError(
            f"{COMMAND_LINE}: show reads no configuration; set the op's arguments with --init.NAME VALUE."
        )
    lay_over(settings, schema, arguments.overrides, COMMAND_LINE)
    for name in ("height", "width", "channels"):
        if settings[name] < 1:
            raise ConfigError(f"{COMMAND_LINE}: {name} is {settings[name]}; expected at least 1.")
    settings["query"] = _query(settings["query"], settings["height"], settings["width"])
    return settings


def _query(text: str | int | None, h: int, w: int) -> tuple[int, int]:
    """Return row and column; off the middle by default, where windows are told from neighbourhoods."""
    if text is None:
        return h // 3, w * 2 // 3
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", str(text))
    if match is None:
        raise ConfigError(f"{COMMAND_LINE}: query is {text!r}; expected ROW,COLUMN, for example 3,5.")
    row, column = int(match[1]), int(match[2])
    if row >= h or column >= w:
        raise ConfigError(
            f"{COMMAND_LINE}: query is {row},{column}, which is not on the map of {h} x {w} tokens; "
            f"expected a row in 0..{h - 1} and a column in 0..{w - 1}."
        )
    return row, column


def _show(op: type[nn.Module], settings: dict[str, Any]) -> int:
    path = None if settings["out"] is None else _picture(settings["out"])
    sight = _measure(op, settings["init"], settings)
    from rich.console import Console

    from vitcli.show.terminal import print_sight

    details = Example(op.__name__, settings["init"]).details
    title = f"{op.__name__}({', '.join(details)}) on {settings['height']} x {settings['width']} tokens"
    print_sight(sight, title, Console())
    if path is not None:
        from vitcli.show.draw import draw_one

        draw_one(sight, op.__name__, details, path)
        print(f"Picture: {path}")
    return 0


def _show_all(settings: dict[str, Any]) -> int:
    from vitcli.show.draw import draw_one
    from vitcli.show.figure import draw_families

    if settings["out"] is None:
        raise ConfigError(f"{COMMAND_LINE}: show attention --all needs --out with a .png or .svg file, or a directory.")
    out = Path(settings["out"])
    single = out.is_file() or (bool(out.suffix) and not out.is_dir())
    path = _picture(str(out)) if single else out
    examples = [example for family in FAMILIES.values() for example in family] + ([] if single else list(MORE))
    here = Origin(COMMAND_LINE, "OP")
    sights = {example: _measure(find_op(example.op, here), example.arguments, settings) for example in examples}
    if single:
        draw_families(sights, path)
    else:
        path.mkdir(parents=True, exist_ok=True)
        for example, sight in sights.items():
            draw_one(sight, example.op, example.details, path / example.file)
    print(f"{'Picture' if single else 'Pictures'}: {path}")
    return 0


def _measure(op: type[nn.Module], arguments: dict[str, Any], settings: dict[str, Any]) -> Sight:
    built = build_op(op, arguments, settings["channels"])
    h, w = settings["height"], settings["width"]
    try:
        return measure(built, h, w, settings["channels"], settings["query"])
    except (TypeError, ValueError, RuntimeError) as error:
        about = f"{op.__name__} cannot be applied to {h} x {w} tokens"
        raise ConfigError(f"{COMMAND_LINE}: {told(error, about)}") from error


def _picture(out: str) -> Path:
    path = Path(out)
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{COMMAND_LINE}: out is {out!r}; expected a file that ends in {' or '.join(ENDINGS)}.")
    if not path.parent.is_dir():
        raise ConfigError(
            f"{COMMAND_LINE}: out is {out!r}, but there is no directory {str(path.parent)!r}; make it first."
        )
    return path

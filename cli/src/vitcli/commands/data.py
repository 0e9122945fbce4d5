"""``vitcli data check PATH``: look at every image and every label of a data set before anything is trained on it."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitcli.config.command_line import COMMAND_LINE, take_format
from vitcli.config.errors import ConfigError, nearest

if TYPE_CHECKING:
    from vittasks.data.dense.dense_survey import DenseSurvey
    from vittasks.data.survey import Survey

FORMATS = ("text", "json")
OPTIONS = ("--test_split", "--channels", "--images")
USAGE = "data needs a word and a folder, for example vitcli data check ~/imagenet."


def main(words: list[str]) -> int:
    """Print what is in the folder and what is wrong with it.

    A folder in the layout of ADE20K, Cityscapes, PASCAL VOC or COCO, or a COCO JSON file, holds labels of pixels or objects; any
    other folder is one of class folders.

    Args:
        words: Words after ``vitcli data``.

    Returns:
        Exit code: 0 if a run can read the folder, 2 if there are problems.

    Raises:
        ConfigError: The words are not ``check`` and one folder or JSON file that exists, or an option is unknown.
    """
    rest = list(words)
    form = take_format(rest, FORMATS)
    options = {option: _take(rest, option) for option in OPTIONS}
    if unknown := [word for word in rest if word.startswith("-")]:
        raise ConfigError(
            f"{COMMAND_LINE}: data has no option {unknown[0]!r}{nearest(unknown[0], (*OPTIONS, '--format'))}"
        )
    if len(rest) != 2 or rest[0] != "check":
        raise ConfigError(f"{COMMAND_LINE}: {USAGE}")
    root = Path(rest[1]).expanduser()
    if not root.is_dir() and not (root.is_file() and root.suffix == ".json"):
        raise ConfigError(f"{COMMAND_LINE}: there is no folder {rest[1]!r}.")
    channels = options["--channels"] or "3"
    if not channels.isdecimal() or int(channels) < 1:
        raise ConfigError(f"{COMMAND_LINE}: --channels is {channels!r}; expected a whole number of at least 1.")
    images = Path(options["--images"]).expanduser() if options["--images"] else None
    if images is not None and not images.is_dir():
        raise ConfigError(f"{COMMAND_LINE}: there is no folder {options['--images']!r} of images.")
    from vittasks.data.dense.dense_survey import dense_survey, layouts_of
    from vittasks.data.survey import survey

    if layouts := layouts_of(root, images):
        folder = root.parent if root.is_file() else root
        return _print_dense([dense_survey(folder, layout, int(channels)) for layout in layouts], form)
    found = survey(root, options["--test_split"], int(channels))
    if form == "json":
        print(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        print("\n".join(_lines(found)))
    return 2 if found.problems else 0


def _print_dense(found: "Sequence[DenseSurvey]", form: str) -> int:
    if form == "json":
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=1))
    else:
        print("\n".join(line for one in found for line in _dense_lines(one)))
    return 2 if any(one.problems for one in found) else 0


def _dense_lines(found: "DenseSurvey") -> Iterator[str]:
    for name, split in found.splits.items():
        total, counts = sum(split.classes.values()), sorted(split.classes.values())
        each = f", {counts[0]:,} to {counts[-1]:,} in a class" if counts else ""
        sizes = " / ".join("{} x {}".format(*size) for size in split.sizes)
        faults = ", ".join(f"{count} x {fault}" for fault, count in split.faults.items())
        yield f"{name}: {split.images:,} images with {total:,} {found.counted} in {len(counts):,} classes{each}"
        yield f"  width x height, smallest / median / largest: {sizes}; faults: {faults or 'none'}"
    yield from (f"problem: {problem}" for problem in found.problems)
    problems = f"{len(found.problems)} problems" if found.problems else "no problem found"
    yield f"{found.root} as vittasks.{found.layout}: {problems}"


def _take(words: list[str], option: str) -> str | None:
    """Remove an option with its value from the words and return the value."""
    if option not in words:
        return None
    at = words.index(option)
    if at + 1 == len(words):
        raise ConfigError(f"{COMMAND_LINE}: {option} has no value; write {option} VALUE.")
    value = words[at + 1]
    del words[at : at + 2]
    return value


def _lines(found: "Survey") -> Iterator[str]:
    for name, split in found.splits.items():
        counts = sorted(split.classes.values())
        each = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        sizes = " / ".join("{} x {}".format(*size) for size in (split.smallest, split.median, split.largest) if size)
        modes = ", ".join(f"{mode} {count:,}" for mode, count in split.modes.items())
        yield f"{name}: {split.images:,} images in {len(counts):,} classes, {each} in a class"
        yield f"  width x height, smallest / median / largest: {sizes}; modes: {modes}; damaged: {len(split.damaged)}"
    yield from (f"not read: {folder}" for folder in found.unread)
    yield from (f"problem: {problem}" for problem in found.problems)
    yield f"{found.root}: {len(found.problems)} problems" if found.problems else f"{found.root}: no problem found"

"""Damaged images: found before the training, named with their class, refused or left out."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeVar

from lightning.pytorch.utilities import rank_zero_info

from vittasks.data.read_image import quick_reason_of_damage, reason_of_damage

OnDamaged = Literal["refuse", "skip"]
Answer = TypeVar("Answer")

AT_ONCE = 10_000
"""Files that wait for a thread at the same time: each takes a kilobyte of memory."""

NAMED = 5
"""Most damaged images that a message names."""


class DamagedImageError(ValueError):
    """An image that cannot be decoded. The text is one sentence that names it."""


def refusal(damaged: Mapping[str, str], folder: Path) -> DamagedImageError:
    """The error about damaged images, path -> reason, of a split whose class folders lie in ``folder``."""
    named = [
        f"{path} of class {Path(path).relative_to(folder).parts[0]} ({reason})"
        for path, reason in list(damaged.items())[:NAMED]
    ]
    further = f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
    return DamagedImageError(
        f"ImageFolder: cannot read {', '.join(named)}{further}; replace or remove what is damaged, or set data.on_damaged to "
        f"skip, which leaves it out; vitcli data check {folder.parent} lists all damaged images."
    )


def find_damaged(paths: Sequence[str], channels: int, how: Literal["quick", "whole"]) -> dict[str, str]:
    """Path -> reason of every file that cannot be decoded, in the order of ``paths``.

    Args:
        paths: The files.
        channels: Channels that the files are decoded to.
        how: ``whole`` decodes every file. ``quick`` reads the beginning and the end, see ``quick_reason_of_damage``.
    """
    look = partial(quick_reason_of_damage if how == "quick" else reason_of_damage, channels=channels)
    return {path: reason for path, reason in zip(paths, in_threads(look, paths), strict=True) if reason}


def in_threads(look: Callable[[str], Answer], paths: Sequence[str]) -> Iterator[Answer]:
    """Apply a function to each file, in one thread for each core, and yield the results in order; PIL releases Python's lock."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for start in range(0, len(paths), AT_ONCE):
            yield from threads.map(look, paths[start : start + AT_ONCE])


def find_damaged_cached(paths: Sequence[str], channels: int, fingerprint: str) -> dict[str, str]:
    """Like ``find_damaged(paths, channels, "whole")``, remembered for files of the same fingerprint.

    The result is kept in the user's cache folder, so that the trials of an ablation do not decode all images again. If that
    folder cannot be written, they do.
    """
    listed = "\n".join((fingerprint, str(channels), *paths))

    def find() -> dict[str, str]:
        rank_zero_info(f"ImageFolder: {len(paths)} images are decoded once, to find damaged ones.")
        return find_damaged(paths, channels, "whole")

    return cached(listed, find)


def cached(question: str, find: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Return the result of a search, from the user's cache folder if it is there.

    Args:
        question: Everything that the result depends on.
        find: Computes the result; if the folder cannot be written, it is called each time.
    """
    file = cache_folder() / f"{sha256(question.encode(errors='surrogateescape')).hexdigest()}.json"
    try:
        known: dict[str, str] = json.loads(file.read_text())
        return known
    except (OSError, ValueError):
        pass
    found = find()
    draft = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(found))
        draft.replace(file)
    except OSError:
        rank_zero_info(f"{file.parent} cannot be written; the next run looks at all images again.")
    return found


def cache_folder() -> Path:
    """The user's cache folder for results about data."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vittasks"

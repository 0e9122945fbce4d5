"""JSON files: written whole or not at all, and read with the type of every value checked."""

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any, TypeVar, cast

FORMAT = 1
"""The value of "format" in every record; a reader refuses another one."""

LARGEST = 10**15
"""Largest amount in a record; a larger one is damage."""

T = TypeVar("T")


class RecordError(ValueError):
    """A record cannot be read; the message is one sentence that names the file."""


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file in one step: neither a reader nor a crash ever sees half of it."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file in one step; if the disk has no room for the new content, the old file stays."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # after a power cut the new name must not lead to an empty file
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def drafts(path: Path) -> list[Path]:
    """Return the unfinished copies of a file that killed writers left beside it."""
    return sorted(path.parent.glob(f".{path.name}.*"))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None if the file is missing or holds no whole object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def read_record(path: Path) -> dict[str, Any]:
    """Return the object in a file of this project's format.

    Raises:
        RecordError: The file is missing, cut short, or of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file; give the directory of an ablation, e.g. runs/<name>.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path}: not readable as JSON ({error}).") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RecordError(f'{path}: must hold an object with "format": {FORMAT}.')
    if not _is_text(content):
        raise RecordError(f"{path}: holds text that is not UTF-8.")
    return content


def _is_text(content: Any) -> bool:
    """Whether all text can be written to a page; JSON can escape halves of letters."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def get(record: dict[str, Any], key: str, kind: type[T], path: Path) -> T:
    """Return the value of a key that must be there.

    Raises:
        RecordError: The key is absent, or its value has another type.
    """
    if not isinstance(record.get(key), kind):
        raise RecordError(f"{path}: {key} must be of type {kind.__name__}, got {_short(record.get(key))}.")
    return cast(T, record[key])


def get_optional(record: dict[str, Any], key: str, kind: type[T], path: Path) -> T | None:
    """Return the value of a key, or None if the key is absent or null.

    Raises:
        RecordError: The value has another type.
    """
    return None if record.get(key) is None else get(record, key, kind, path)


def get_number(record: dict[str, Any], key: str, path: Path) -> float:
    """Return the finite number of a key.

    Raises:
        RecordError: The value is absent, not a number, or not finite.
    """
    value = number(record.get(key))
    if not math.isfinite(value):
        raise RecordError(f"{path}: {key} must be a finite number, got {_short(record.get(key))}.")
    return value


def get_amount(record: dict[str, Any], key: str, path: Path) -> float:
    """Return the number of a key, such as seconds; 0 if the key is absent or null.

    Raises:
        RecordError: The value is not a number, not finite, or negative.
    """
    value = 0.0 if record.get(key) is None else get_number(record, key, path)
    if not 0 <= value <= LARGEST:
        raise RecordError(f"{path}: {key} must be a number of at least 0, got {_short(record.get(key))}.")
    return value


def get_count(record: dict[str, Any], key: str, path: Path) -> int | None:
    """Return the whole number of a key; None if the key is absent or null.

    Raises:
        RecordError: The value is not a whole number, or negative.
    """
    return None if record.get(key) is None else _count(record[key], key, path)


def get_counts(record: dict[str, Any], key: str, path: Path) -> tuple[int, ...]:
    """Return the whole numbers of a key; none if the key is absent or null.

    Raises:
        RecordError: The value is not a list of such numbers.
    """
    return tuple(_count(one, key, path) for one in get_optional(record, key, list, path) or ())


def _count(value: Any, key: str, path: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        raise RecordError(f"{path}: {key} must be a whole number of at least 0, got {_short(value)}.")
    return value


def number(value: Any) -> float:
    """Return the value as a float, or NaN if it is not a number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _short(value: Any) -> str:
    """Return how a value is written, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]} ..."

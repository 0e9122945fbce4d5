"""JSON objects read with the type of every value checked; what is wrong is one sentence that names the file."""

import json
import math
from pathlib import Path
from typing import Any, TypeVar, cast

FORMAT = 1

T = TypeVar("T")


class ReportError(ValueError):
    """A directory that cannot be reported on; the message is one sentence that names the file."""


def read(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        ReportError: The file is missing, cut short, or of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file; give the directory of an ablation, e.g. runs/<name>.") from None
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: not readable as JSON ({error}).") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ReportError(f'{path}: must hold an object with "format": {FORMAT}.')
    return content


def get(record: dict[str, Any], key: str, kind: type[T], path: Path) -> T:
    """The value of a key that must be there.

    Raises:
        ReportError: It is not, or of another type.
    """
    if not isinstance(record.get(key), kind):
        raise ReportError(f"{path}: {key} must be of type {kind.__name__}, got {record.get(key)!r}.")
    return cast(T, record[key])


def get_optional(record: dict[str, Any], key: str, kind: type[T], path: Path) -> T | None:
    """The value of a key that may be absent or null.

    Raises:
        ReportError: It is of another type.
    """
    return None if record.get(key) is None else get(record, key, kind, path)


def get_number(record: dict[str, Any], key: str, path: Path) -> float:
    """A finite number.

    Raises:
        ReportError: It is absent, not finite, or no number.
    """
    value = number(record.get(key))
    if not math.isfinite(value):
        raise ReportError(f"{path}: {key} must be a finite number, got {record.get(key)!r}.")
    return value


def number(value: Any) -> float:
    """The value as a float; NaN if it is no number."""
    return float(value) if isinstance(value, int | float) else math.nan

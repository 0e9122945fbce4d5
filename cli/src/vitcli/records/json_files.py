"""Files that are either whole or not there."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file in one step: a reader, or a crash, never finds half of it."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file in one step; where there is no room for the new one, the old one stays."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # a name that outlives a power cut must not lead to an empty file
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def drafts(path: Path) -> list[Path]:
    """Return what writers that were killed on the way left beside a file."""
    return sorted(path.parent.glob(f".{path.name}.*"))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a file's content; None if it is not there or not whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None

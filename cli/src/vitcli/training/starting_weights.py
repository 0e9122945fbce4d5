"""The files of weights that the models of a configuration start from: their content hashes, and the scores of their runs."""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitcli.records.trial import read_result
from vitmodels.skeletons.parts import walk
from vitmodels.skeletons.weights_file import locate

FILES = (
    ("path", "vitmodels.load_checkpoint"),
    ("pretrained_cfg_overlay.file", "timm."),
    ("pretrained_cfg.file", "timm."),
    ("checkpoint_path", "timm."),
)
"""Arguments that name a file of weights, and how the import paths of what takes them begin."""


def weight_keys(config: Mapping[str, Any]) -> dict[str, str | None]:
    """Return dotted key -> file of every entry that names the weights that a model or a task starts from.

    Where a model of vitmodels or a task could start from a file and does not, the file is None.
    """
    every = {".".join(names): value for names, value in walk(config)}
    return {key: value for key, value in every.items() if _names_weights(key, value, every)}


def _names_weights(key: str, value: Any, values: Mapping[str, Any]) -> bool:
    owner, _, name = key.rpartition(".")
    if name == "pretrained":
        return str(values.get(f"{owner}.class_path", "")).startswith(("vitmodels.", "vittasks."))
    owners = [(key.removesuffix(f".{name}"), maker) for name, maker in FILES if key.endswith(f".{name}")]
    return bool(value) and any(str(values.get(f"{owner}.class_path", "")).startswith(maker) for owner, maker in owners)


def starting_weights(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the record of the files that a training starts from: path, hash, and the scores of the run that wrote each."""
    found = [path for path in weight_keys(config).values() if path is not None]
    return [{"file": path, "sha256": content_hash(path), "metrics": _scores(path)} for path in found]


def _scores(path: str) -> dict[str, float]:
    result = read_result(locate(path).parent) or {}
    return dict(result.get("metrics") or {})


def content_hash(path: str) -> str:
    """Return the SHA-256 of the file that a path means, see ``vitmodels.skeletons.weights_file.locate``."""
    file = locate(path)
    state = file.stat()
    return _digest(file, state.st_mtime_ns, state.st_size)


@functools.cache
def _digest(file: Path, changed: int, size: int) -> str:
    """Return the hash of a file, computed once for all arms; ``changed`` and ``size`` tell a file that was written anew."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

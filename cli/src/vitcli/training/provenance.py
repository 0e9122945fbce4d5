"""The code, packages, data and device that made a result."""

import contextlib
import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vitcli

PACKAGES = ("torch", "lightning", "timm", "torchmetrics", "jsonargparse", "vitcore", "vitmodels", "vittasks", "vitcli")
SECONDS = 10.0
"""Time limit for a call of git, so that a slow disk does not hold up a trial."""


def provenance(data: str | None, device: str) -> dict[str, Any]:
    """Return the provenance that is recorded with a result.

    Args:
        data: The data module's fingerprint of its data, None if it has none.
        device: Name of the GPU or processor.
    """
    return {**code(Path(vitcli.__file__)), "versions": packages(), "data": data, "device": device}


def code(file: Path) -> dict[str, str | None]:
    """Return the commit of the repository that holds a source file, and a hash of its uncommitted changes.

    ``commit`` is None without git, and if the file is not under version control: a package that is installed inside somebody's
    project is not part of that project's code. ``dirty`` is the SHA-256 of ``git diff HEAD``, or None without changes; files that
    git does not track are not noticed.
    """
    tracked = _git(file.parent, "ls-files", "--error-unmatch", file.name)
    commit = None if tracked is None else _git(file.parent, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    change = _git(file.parent, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", "HEAD")
    return {"commit": commit.decode().strip(), "dirty": hashlib.sha256(change).hexdigest() if change else None}


def packages() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def processor() -> str:
    """Return the processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or sys.platform


def _git(folder: Path, *words: str) -> bytes | None:
    """Return git's output; None if git is missing or fails."""
    # Without optional locks, this call does not disturb somebody who commits at the same time.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        finished = subprocess.run(
            ["git", "-C", str(folder), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout if finished.returncode == 0 else None

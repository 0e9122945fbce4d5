"""The code, packages, data and device that made a result."""

import contextlib
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vitcli
from vitcli.training.own_code import own_files

PACKAGES = ("torch", "lightning", "timm", "torchmetrics", "jsonargparse", "vitcore", "vitmodels", "vittasks", "vitcli")
SECONDS = 10.0
"""Time limit for a call of git, so that a slow disk does not hold up a trial."""


def provenance(data: str | None, device: str, own: Mapping[str, str]) -> dict[str, Any]:
    """Return the provenance that is recorded with a result.

    The version of a package of the user's own is the commit of its repository.

    Args:
        data: The data module's fingerprint of its data, None if it has none.
        device: Name of the GPU or processor.
        own: Import path -> hash of the code, for the classes of the user's own.
    """
    return {
        **code(Path(vitcli.__file__)),
        "versions": {**packages(), **_own_versions(own)},
        "code": dict(own),
        "data": data,
        "device": device,
    }


def _own_versions(own: Mapping[str, str]) -> dict[str, str]:
    """Return package -> commit of its repository, with a mark of uncommitted changes; without a commit, a hash of the code."""
    paths: dict[str, list[str]] = {}
    for path in own:
        paths.setdefault(path.partition(".")[0], []).append(path)
    return {package: _own_version(own, of_package) for package, of_package in paths.items()}


def _own_version(own: Mapping[str, str], paths: list[str]) -> str:
    file = next(iter(own_files(paths[0])), None)
    found = code(file) if file is not None else {"commit": None, "dirty": None}
    if found["commit"] is None:
        return f"code {hashlib.sha256(''.join(own[path] for path in sorted(paths)).encode()).hexdigest()[:10]}"
    return found["commit"][:10] + (f" with changes {found['dirty'][:10]}" if found["dirty"] else "")


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

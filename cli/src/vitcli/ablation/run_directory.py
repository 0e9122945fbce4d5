"""The directory of a running ablation: one runner at a time, and write errors that say what to do."""

import contextlib
import errno
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from vitcli.ablation.state import MACHINE
from vitcli.ablation.worker import ALIVE
from vitcli.config.errors import ConfigError

REFUSED = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR)
SECONDS_TO_END = 30.0
"""Time that the trials of a killed runner have to end. They end at once, unless the machine hangs."""


@contextlib.contextmanager
def directory_lock(directory: Path, tell_waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Create the directory and hold its lock, since two runners in one directory would overwrite each other's files.

    Args:
        directory: The directory.
        tell_waiting: Called once if another runner holds the lock, which is then waited for; None to refuse instead.

    Raises:
        ConfigError: The directory cannot be written, or another runner or trials of an ended runner use it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{directory}: the directory cannot be created ({error.strerror}); use --runs DIR."
        ) from error
    with contextlib.ExitStack() as locks:
        try:
            lock, alive = (locks.enter_context(_open_lock(directory / name)) for name in (".lock", ALIVE))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise ConfigError(
                    f"{error.filename}: this is a link or no file; remove it, or use --runs DIR."
                ) from error
            raise ConfigError(
                f"{directory}: the directory cannot be written ({error.strerror}); use --runs DIR."
            ) from error
        free = _lock(lock.fileno(), 0)
        if not free and tell_waiting is not None:
            tell_waiting()
            free = _lock(lock.fileno(), math.inf)
        if not free:
            raise ConfigError(
                f"{directory}: another vitcli is running this ablation; wait until it ends, or use --runs DIR."
            )
        # Trials hold the second lock. After a runner is killed they live a moment longer, and write until they end.
        if not _lock(alive.fileno(), SECONDS_TO_END):
            raise ConfigError(
                f"{directory}: trials of a vitcli that has ended are still running; end their processes or use --runs DIR."
            )
        fcntl.flock(alive, fcntl.LOCK_UN)
        yield


def _open_lock(path: Path) -> IO[str]:
    """Open a file to lock it, without following a link and without waiting for the other end of a pipe."""
    return open(path, "a", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644))


def _lock(file: int, seconds: float) -> bool:
    """Take a lock and return True, or return False if that is not possible within so many seconds."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True


@contextlib.contextmanager
def explain_write_errors(directory: Path) -> Iterator[None]:
    """Turn a failed write into a one-line error; what has been recorded in the directory stays as it is.

    Raises:
        ConfigError: The disk is full, or the directory has become unwritable.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (*MACHINE, *REFUSED):
            raise
        raise ConfigError(
            f"{directory}: stopped, because nothing more can be written there ({error.strerror}); "
            "repeat the same command when writing is possible again, and it will continue."
        ) from error

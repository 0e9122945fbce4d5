"""A third-party package whose module also holds functions that run commands, under harmless names."""

import functools
import subprocess
from collections.abc import Callable
from os import system as quick  # noqa: F401 (named by tests)
from pathlib import Path
from subprocess import Popen as Launch  # noqa: F401 (named by tests)
from typing import Any

from torch import nn


def leave_trace(path: str = "hacked") -> int:
    """Create a file, as a command would."""
    return Path(path).write_text("here")


def trace_as_module(path: str = "hacked"):
    """Create a file and return a module."""
    leave_trace(path)
    return nn.Identity()


def stated() -> nn.Module:
    """Return a module, and say so."""
    return nn.Identity()


class Process(subprocess.Popen):
    """A process that is a class of this package."""


class Tool:
    """A class that is no module, with ways to run its code without an object."""

    def __init__(self, path: str = "hacked") -> None:
        leave_trace(path)

    def __call__(self, *_: Any) -> None:
        """Do nothing."""

    @staticmethod
    def static(path: str = "hacked") -> int:
        """Create a file."""
        return leave_trace(path)

    @classmethod
    def of_class(cls, path: str = "hacked") -> int:
        """Create a file."""
        return leave_trace(path)


bound = functools.partial(leave_trace, "hacked")
tool = Tool.__new__(Tool)


class Open(nn.Identity):
    """An activation whose arguments do not say what they hold; it calls what it is given.

    Args:
        call: Called at once.
        typed: Called at once.
        anything: Called at once.
        several: Called one by one.
        named: Called one by one.
        helper: A function of this module, which nobody has to name.
        kind: A class.
        either: Something of several types.
        words: Text or something else.
    """

    def __init__(
        self,
        call=None,
        typed: Callable | None = None,
        anything: Any = None,
        several: list[Any] = (),  # type: ignore[assignment]
        named: dict[str, Any] | None = None,
        helper: Callable = leave_trace,
        kind: type[nn.Module] = nn.Identity,
        either: Callable | nn.Module | bool = False,
        words: str | Callable | nn.Module | list[nn.Module] = "",
    ) -> None:
        super().__init__()
        self.helper = helper
        self.given = [call, typed, anything, *several, *(named or {}).values(), either, words]
        for one in self.given:
            if callable(one) and not isinstance(one, nn.Module):
                one()

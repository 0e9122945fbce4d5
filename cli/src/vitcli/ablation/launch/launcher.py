"""What the runner asks of whatever runs its trials."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

Key = tuple[str, int]
"""Arm and seed: which trial."""


@dataclass(frozen=True)
class Epoch:
    """A trial has trained so many epochs."""

    done: int


@dataclass(frozen=True)
class Ended:
    """A trial runs no more.

    Args:
        cause: What is known of its end, for a trial that left no result.
    """

    cause: str


class Launcher(Protocol):
    """Runs trials somewhere. A job is the arguments of ``vitcli.ablation.trial.run_trial``, without ``tell``.

    Attributes:
        places: Trials that may be started before one has ended.
    """

    places: int

    def adopt(self, job: dict[str, Any]) -> bool:
        """Take over a trial that an earlier runner started and that still lives, and return whether there is one."""

    def start(self, job: dict[str, Any]) -> None:
        """Start a trial; its place has been made."""

    def wait(self, seconds: float) -> list[tuple[Key, Epoch | Ended]]:
        """Return what has happened, waiting for it at most ``seconds``; each trial ends once."""

    def withdraw(self, trials: Collection[Key]) -> set[Key]:
        """Take back those of these trials that were started but train nowhere yet; return them: they have no end."""

    def stop(self) -> None:
        """End what still runs, at once."""

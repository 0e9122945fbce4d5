"""What the runner asks of a launcher, and how it makes the one that the ablation file names."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from vitcli.ablation.planning.plan import Plan
from vitcli.config.errors import ConfigError

Key = tuple[str, int]
"""Arm and seed: which trial."""


@dataclass(frozen=True)
class Epoch:
    """A trial has trained so many epochs."""

    done: int


@dataclass(frozen=True)
class Ended:
    """A trial no longer runs.

    Args:
        cause: What is known of its end, for a trial that left no result.
    """

    cause: str


class Launcher(ABC):
    """Runs trials somewhere. A job is the arguments of ``vitcli.ablation.trial.run_trial``, without ``tell``.

    A launcher is a class that takes the plan, which the runner supplies, and then its options. What may be set under
    ``ablation.launcher`` is the constructor's other arguments, with the types that they are annotated with; they are plain
    data. The constructor must neither write nor start anything: it runs before the ablation's directory is made. It raises
    ``ValueError`` with a sentence if it cannot run the plan's trials.

    Attributes:
        places: Largest number of trials that are started and have not ended.
    """

    places: int

    def adopt(self, job: dict[str, Any]) -> bool:
        """Take over a trial that an earlier runner started and that is still alive; return whether there is one."""
        return False

    @abstractmethod
    def start(self, job: dict[str, Any]) -> None:
        """Start a trial, whose directory is prepared."""

    @abstractmethod
    def wait(self, seconds: float) -> list[tuple[Key, Epoch | Ended]]:
        """Return what has happened, after waiting at most ``seconds`` for it. Each trial ends once."""

    def withdraw(self, trials: Collection[Key]) -> set[Key]:
        """Take back those of these trials that do not train yet, and return them. They are not reported as ended."""
        return set()

    @abstractmethod
    def stop(self) -> None:
        """End all trials that still run, at once."""


def make_launcher(plan: Plan) -> Launcher:
    """Return the launcher that the plan names. Nothing is written or started before its first trial.

    Raises:
        ConfigError: Its package is missing, or it cannot run the plan's trials.
    """
    module, _, name = plan.spec.launcher["class_path"].rpartition(".")
    try:
        launcher: Launcher = getattr(importlib.import_module(module), name)(
            plan, **plan.spec.launcher.get("init_args", {})
        )
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"ablation.launcher: {error}") from error
    return launcher


def missing_package(launcher: str, package: str, extra: str) -> ConfigError:
    """Return the error for a launcher whose package is not installed."""
    return ConfigError(
        f"ablation.launcher is {launcher}, which needs the package {package}; install it by pip install 'vitcli[{extra}]'."
    )

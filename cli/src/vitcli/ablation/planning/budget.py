"""The budget that all arms share: as many epochs, as much training time, or as many multiply-adds as the baseline."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vitcli.ablation.planning.spec import Budget
from vitcli.config.errors import ConfigError
from vitcli.records.speed import SPEED, measured_arms

EPOCHS = "trainer.max_epochs"
"""The key that a budget sets in every arm."""


def equal_epochs(epochs: int, baseline: str, cost: Mapping[str, float]) -> dict[str, int]:
    """Return the number of epochs of each arm so that every arm spends as much as the baseline.

    All arms see the same number of images in an epoch, so an arm whose cost per image is twice the baseline's trains half as many
    epochs, rounded to the nearest whole number and at least 1. Rounding leaves a difference of up to half an epoch.

    Args:
        epochs: Epochs of the baseline.
        baseline: Name of the baseline.
        cost: Arm -> cost of a training image, in any unit.
    """
    return {arm: max(1, round(epochs * cost[baseline] / each)) for arm, each in cost.items()}


def budget_epochs(
    equal: Budget, configs: Mapping[str, dict[str, Any]], baseline: str, cost: Mapping[str, float], place: str
) -> dict[str, int]:
    """Return each arm's epochs under a budget other than equal epochs.

    Args:
        equal: The quantity that is equal for all arms.
        configs: Arm -> complete configuration.
        baseline: The arm whose epochs the file gives.
        cost: Arm -> seconds or multiply-adds of one training image.
        place: Where the budget is set, for messages.

    Raises:
        ConfigError: The length of the baseline's training is not given in epochs, an arm sets its own epochs, or the cost of an
            arm is zero.
    """
    epochs = trained_epochs(configs[baseline])
    if epochs is None:
        raise ConfigError(
            f"{place}: ablation.budget is {equal!r}, but {_length(configs[baseline])}; "
            f"set {EPOCHS}: the budget is counted in epochs."
        )
    for arm, config in configs.items():
        if trained_epochs(config) != epochs:
            raise ConfigError(
                f"{place}: ablation.budget is {equal!r}, which sets {EPOCHS}, but arm {arm} sets it to "
                f"{config['trainer']['max_epochs']!r}; remove it from the arm, or choose the budget epochs."
            )
        if not cost[arm] > 0:
            raise ConfigError(
                f"{place}: ablation.budget is {equal!r}, but the cost of arm {arm} is zero; choose another budget."
            )
    return equal_epochs(epochs, baseline, cost)


def trained_epochs(config: Mapping[str, Any]) -> int | None:
    """Return the number of epochs that a configuration trains; None if its length is not given in epochs alone."""
    trainer = config["trainer"]
    epochs = trainer["max_epochs"]
    other_limit = trainer["max_steps"] not in (-1, None) or trainer["max_time"] is not None
    return epochs if isinstance(epochs, int) and epochs >= 1 and not other_limit else None


def measured_seconds(directory: Path, file: str) -> tuple[dict[str, float], dict[str, str]]:
    """Return arm -> seconds per training image, and arm -> identity, as ``vitcli speed`` measured and recorded them.

    Args:
        directory: The ablation's directory.
        file: The ablation file, for the message.

    Raises:
        ConfigError: No speeds have been measured.
    """
    arms = measured_arms(directory)
    if arms is None:
        raise ConfigError(
            f"{file}: ablation.budget is 'training_time', but {directory / SPEED} is missing; "
            f"run vitcli speed {file} first."
        )
    rates = {arm: one.get("train_images_per_second", 0) for arm, one in arms.items()}
    return (
        {arm: 1 / rate for arm, rate in rates.items() if rate > 0},
        {arm: str(one.get("id")) for arm, one in arms.items()},
    )


def refuse_unmeasured(measured: Iterable[str], arms: Iterable[str], speed: Path, file: str) -> None:
    """Stop if an arm's speed has not been measured.

    Args:
        measured: Arms with a measured speed.
        arms: All arms.
        speed: The file of the speeds.
        file: The ablation file, for the message.

    Raises:
        ConfigError: An arm has no measured speed.
    """
    for arm in sorted(set(arms) - set(measured)):
        raise ConfigError(
            f"{file}: ablation.budget is 'training_time', but arm {arm} is not in {speed}; run vitcli speed {file} first."
        )


def refuse_other_speed(arm: str, then: str, now: str, speed: Path, file: str) -> None:
    """Stop if an arm has changed since its speed was measured.

    Args:
        arm: Name of the arm.
        then: Identity of the arm when it was measured, with the epochs that followed from its speed.
        now: Identity of the arm now.
        speed: The file of the speeds.
        file: The ablation file, for the message.

    Raises:
        ConfigError: The identities differ.
    """
    if then != now:
        raise ConfigError(
            f"{file}: ablation.budget is 'training_time', but arm {arm} has changed since its speed was measured "
            f"({speed}: {then}, now {now}); run vitcli speed {file} again."
        )


def _length(config: Mapping[str, Any]) -> str:
    """Return how the length of a training is given, for a message."""
    trainer = config["trainer"]
    given = {key: trainer[key] for key in ("max_epochs", "max_steps", "max_time") if trainer[key] not in (None, -1)}
    return " and ".join(f"trainer.{key} is {value!r}" for key, value in given.items()) or f"{EPOCHS} is not set"

"""What every arm may spend alike: as many epochs, as much training time, or as many multiply-adds as the baseline."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vitcli.ablation.spec import Budget
from vitcli.config.errors import ConfigError
from vitcli.records.json_files import read_json

EPOCHS = "trainer.max_epochs"
"""What a budget sets in every arm."""

SPEED = "speed.json"
"""The file beside the arms that ``vitcli speed`` writes."""


def equal_epochs(epochs: int, baseline: str, cost: Mapping[str, float]) -> dict[str, int]:
    """Return how many epochs each arm trains so that all spend what the baseline spends.

    An epoch shows every arm equally many images; so an arm of twice the cost an image trains half as many epochs, rounded to
    the nearest whole number and at least 1. The rounding leaves a difference of up to half an epoch.

    Args:
        epochs: Of the baseline.
        baseline: Its name.
        cost: For each arm, what a training image costs, in any unit.
    """
    return {arm: max(1, round(epochs * cost[baseline] / each)) for arm, each in cost.items()}


def budgeted(
    equal: Budget, configs: Mapping[str, dict[str, Any]], baseline: str, cost: Mapping[str, float], place: str
) -> dict[str, int]:
    """Return each arm's epochs under a budget other than equal epochs.

    Args:
        equal: What is equal, for messages.
        configs: For each arm, its resolved configuration.
        baseline: The arm whose epochs are given.
        cost: For each arm, seconds or multiply-adds of one training image.
        place: Where the budget is set, for messages.

    Raises:
        ConfigError: The baseline's training is not counted in epochs, an arm sets its own, or an arm costs nothing.
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
                f"{config['trainer']['max_epochs']!r}; leave it out of the arm, or take budget epochs."
            )
        if not cost[arm] > 0:
            raise ConfigError(f"{place}: ablation.budget is {equal!r}, but arm {arm} has none; take another budget.")
    return equal_epochs(epochs, baseline, cost)


def trained_epochs(config: Mapping[str, Any]) -> int | None:
    """Return how many epochs a resolved configuration trains; None if its end is not counted in epochs."""
    trainer = config["trainer"]
    epochs = trainer["max_epochs"]
    ends_else = trainer["max_steps"] not in (-1, None) or trainer["max_time"] is not None
    return epochs if isinstance(epochs, int) and epochs >= 1 and not ends_else else None


def measured_seconds(directory: Path, file: str) -> tuple[dict[str, float], dict[str, str]]:
    """Return seconds per training image and identity of each arm, as ``vitcli speed`` measured them.

    Args:
        directory: The ablation's.
        file: The ablation file, for the message.

    Raises:
        ConfigError: Nothing has been measured.
    """
    arms = (read_json(directory / SPEED) or {}).get("arms")
    if not isinstance(arms, Mapping):
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
        measured: Arms that were.
        arms: All arms.
        speed: Where the speeds are kept.
        file: The ablation file, for the message.

    Raises:
        ConfigError: An arm is new.
    """
    for arm in sorted(set(arms) - set(measured)):
        raise ConfigError(
            f"{file}: ablation.budget is 'training_time', but arm {arm} is not in {speed}; run vitcli speed {file} first."
        )


def refuse_other_speed(arm: str, then: str, now: str, speed: Path, file: str) -> None:
    """Stop if an arm is not the one whose speed was measured.

    Args:
        arm: Its name.
        then: Its identity when its speed was measured; it holds the epochs that followed from that speed.
        now: Its identity.
        speed: Where the speeds are kept.
        file: The ablation file, for the message.

    Raises:
        ConfigError: It is another.
    """
    if then != now:
        raise ConfigError(
            f"{file}: ablation.budget is 'training_time', but arm {arm} is {now} and was {then} when its speed was measured "
            f"({speed}); run vitcli speed {file} again."
        )


def _length(config: Mapping[str, Any]) -> str:
    """Say how a training's end is given."""
    trainer = config["trainer"]
    given = {key: trainer[key] for key in ("max_epochs", "max_steps", "max_time") if trainer[key] not in (None, -1)}
    return " and ".join(f"trainer.{key} is {value!r}" for key, value in given.items()) or f"{EPOCHS} is not set"

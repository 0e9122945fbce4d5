"""What a plan holds: pure data, so that the runner can read it without importing torch."""

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitcli.ablation.budget import trained_epochs
from vitcli.ablation.spec import AblationSpec
from vitcli.records.trial import trial_directory


@dataclass(frozen=True)
class PlannedArm:
    """One arm.

    Args:
        config: Its resolved configuration.
        id: Of what it computes.
        difference: From the baseline, key -> [the baseline's value, the arm's].
        parameters: Of its model.
        macs: Multiply-adds of one image.
        steps: In an epoch; None where nothing is estimated from it, or where it is not known.
    """

    config: dict[str, Any]
    id: str
    difference: dict[str, list[Any]]
    parameters: int
    macs: int
    steps: int | None = None


def device_count(trainer: dict[str, Any]) -> int:
    """Return how many devices a trial asks for by number; 1 where it leaves that to the trainer."""
    devices = trainer["devices"]
    if isinstance(devices, str):
        devices = int(devices) if devices.isdigit() else [one for one in devices.split(",") if one]
    return max(1, devices if isinstance(devices, int) else len(devices))


@dataclass(frozen=True)
class Plan:
    """All that is needed to run and report an ablation; pure data."""

    name: str
    directory: Path
    question: str
    spec: AblationSpec
    arms: dict[str, PlannedArm]
    gpus: int

    @property
    def places(self) -> list[tuple[int, ...]]:
        """The GPUs of each trial that can run beside others; one place without a GPU if the plan uses none."""
        each = device_count(next(iter(self.arms.values())).config["trainer"])
        return [tuple(range(i, i + each)) for i in range(0, self.gpus - each + 1, each)] or [()]

    @property
    def levels(self) -> dict[str, dict[str, str]]:
        """The level of each factor, for the arms that factors made."""
        return self.spec.levels

    @property
    def budget(self) -> dict[str, Any]:
        """What is equal across arms, and how many epochs each trains; for the record."""
        epochs = {name: trained_epochs(arm.config) for name, arm in self.arms.items()}
        return {"equal": self.spec.budget, "epochs": {name: n for name, n in epochs.items() if n is not None}}

    def at_once(self, trials: int) -> int:
        """Return how many of so many trials run beside each other on this machine."""
        threads = next(iter(self.arms.values())).config["threads"]
        room = len(self.places) if self.gpus else len(os.sched_getaffinity(0)) // threads
        return max(1, min(self.spec.workers or room, trials))

    def trial_directory(self, arm: str, seed: int) -> Path:
        """Return where a trial lives."""
        return trial_directory(self.directory, arm, seed)

    def trial_config(self, arm: str, seed: int) -> dict[str, Any]:
        """Return the configuration of one trial: the arm's, with its seed for weights, order and augmentation."""
        config = copy.deepcopy(self.arms[arm].config)
        config["seed_everything"] = seed
        if "seed" in config["data"].get("init_args", {}):
            config["data"]["init_args"]["seed"] = seed
        return config

"""The plan of an ablation as plain data, which the runner can read without importing torch."""

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vitcli.ablation.planning.budget import trained_epochs
from vitcli.ablation.planning.spec import AblationSpec
from vitcli.records.trial import trial_directory


@dataclass(frozen=True)
class PlannedArm:
    """One arm of the plan.

    Args:
        config: The complete configuration.
        id: Identity (hash) of the configuration, without entries that do not change the result.
        difference: Key -> [value in the baseline, value in this arm].
        parameters: Number of parameters of the model.
        macs: Multiply-adds for one image.
        steps: Training steps in an epoch; None if unknown, or if no estimate needs it.
        place: The file that sets it and its name, for messages.
        code: Import path -> hash of the code, for the classes of the user's own.
        data: Fingerprint of the data; None if it is not known.
        classifier: Name of the classifier that the backbone starts from; empty if none is trained for it.
    """

    config: dict[str, Any]
    id: str
    difference: dict[str, list[Any]]
    parameters: int
    macs: int
    steps: int | None = None
    place: str = ""
    code: Mapping[str, str] = field(default_factory=dict)
    data: str | None = None
    classifier: str = ""


def device_count(trainer: dict[str, Any]) -> int:
    """Return the number of devices that a trial asks for; 1 if it leaves the number to the trainer."""
    devices = trainer["devices"]
    if isinstance(devices, str):
        devices = int(devices) if devices.isdigit() else [one for one in devices.split(",") if one]
    return max(1, devices if isinstance(devices, int) else len(devices))


@dataclass(frozen=True)
class Plan:
    """Everything that is needed to run and report an ablation, as plain data.

    Args:
        name: The ablation's name.
        directory: Where its trials and its report are.
        question: What is asked.
        spec: The ``ablation`` section.
        arms: The arms in the file's order.
        gpus: GPUs of this machine that the trials may use.
        classifiers: The classifiers that backbones start from, planned like arms; None if nothing is pretrained.
    """

    name: str
    directory: Path
    question: str
    spec: AblationSpec
    arms: dict[str, PlannedArm]
    gpus: int
    classifiers: "Plan | None" = None

    @property
    def places(self) -> list[tuple[int, ...]]:
        """The GPUs of each trial that can run at the same time; one entry without a GPU if the plan uses none."""
        each = device_count(next(iter(self.arms.values())).config["trainer"])
        return [tuple(range(i, i + each)) for i in range(0, self.gpus - each + 1, each)] or [()]

    @property
    def levels(self) -> dict[str, dict[str, str]]:
        """The level of each factor, for the arms that factors made."""
        return self.spec.levels

    def seeds_of(self, arm: str) -> range:
        """Return the seeds of one arm."""
        return self.spec.seeds_of(arm)

    @property
    def budget(self) -> dict[str, Any]:
        """The quantity that is equal for all arms, and each arm's epochs, as they are recorded."""
        epochs = {name: trained_epochs(arm.config) for name, arm in self.arms.items()}
        return {"equal": self.spec.budget, "epochs": {name: n for name, n in epochs.items() if n is not None}}

    def parallel_trials(self, trials: int) -> int:
        """Return how many of ``trials`` trials run at the same time on this machine."""
        threads = next(iter(self.arms.values())).config["threads"]
        room = len(self.places) if self.gpus else len(os.sched_getaffinity(0)) // threads
        return max(1, min(self.spec.workers or room, trials))

    def trial_directory(self, arm: str, seed: int) -> Path:
        """Return the directory of a trial."""
        return trial_directory(self.directory, arm, seed)

    def start_of(self, arm: str, seed: int) -> tuple[str, int] | None:
        """Return name and seed of the classifier that a trial starts from; None if none is trained for it."""
        name = self.arms[arm].classifier
        return (name, seed if self.arms[arm].config["pretraining"]["seeds"] == "each" else 0) if name else None

    def trial_config(self, arm: str, seed: int) -> dict[str, Any]:
        """Return the configuration of one trial: the arm's, with the seed of weights, data order and augmentation.

        A backbone whose classifier is trained first starts from the directory of that training.
        """
        config = copy.deepcopy(self.arms[arm].config)
        if self.classifiers and (start := self.start_of(arm, seed)):
            del config["pretraining"]
            config["model"]["init_args"]["backbone"]["init_args"]["pretrained"] = str(
                self.classifiers.trial_directory(*start)
            )
        config["seed_everything"] = seed
        if "seed" in config["data"].get("init_args", {}):
            config["data"]["init_args"]["seed"] = seed
        return config

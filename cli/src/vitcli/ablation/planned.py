"""What a plan holds: pure data, so that the runner can read it without importing torch."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitcli.ablation.spec import AblationSpec


@dataclass(frozen=True)
class PlannedArm:
    """One arm: its resolved configuration, its identity, how it differs from the baseline and what it costs."""

    config: dict[str, Any]
    id: str
    difference: dict[str, list[Any]]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Plan:
    """All that is needed to run and report an ablation; pure data."""

    name: str
    directory: Path
    question: str
    spec: AblationSpec
    arms: dict[str, PlannedArm]
    gpus: int

    def trial_directory(self, arm: str, seed: int) -> Path:
        """Return where a trial lives."""
        return self.directory / arm / f"seed{seed}"

    def trial_config(self, arm: str, seed: int) -> dict[str, Any]:
        """Return the configuration of one trial: the arm's, with its seed for weights, order and augmentation."""
        config = copy.deepcopy(self.arms[arm].config)
        config["seed_everything"] = seed
        if "seed" in config["data"]["init_args"]:
            config["data"]["init_args"]["seed"] = seed
        return config

"""What a trial needs of the machines that it runs on, read from its configuration."""

from dataclasses import dataclass
from typing import Any

from vitcli.ablation.planned import device_count


@dataclass(frozen=True)
class Resources:
    """Machines of one trial, and on each of them cores and GPUs."""

    nodes: int
    cpus: int
    gpus: int


def resources(config: dict[str, Any], gpus_here: int) -> Resources:
    """Return what a trial needs.

    Args:
        config: The trial's resolved configuration; cores are those of every rank's threads.
        gpus_here: GPUs of this machine that the plan counts on: what decides where the accelerator is left open.
    """
    trainer = config["trainer"]
    ranks = device_count(trainer)
    on_gpus = gpus_here > 0 or trainer["accelerator"] in ("gpu", "cuda")
    return Resources(trainer["num_nodes"], ranks * (config["threads"] or 1), ranks if on_gpus else 0)

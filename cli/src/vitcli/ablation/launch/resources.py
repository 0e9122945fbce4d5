"""What a trial needs of the machines that it runs on, read from its configuration."""

from dataclasses import dataclass
from typing import Any

from vitcli.ablation.planning.plan import Plan, device_count
from vitcli.config.errors import ConfigError


@dataclass(frozen=True)
class Resources:
    """The number of machines of one trial, and on each of them the number of cores and GPUs."""

    nodes: int
    cpus: int
    gpus: int


def resources(config: dict[str, Any], gpus_here: int) -> Resources:
    """Return what a trial needs.

    Args:
        config: The trial's resolved configuration. Every rank takes as many cores as the trial has threads.
        gpus_here: GPUs of this machine that the plan counts on. Where the accelerator is ``auto``, a trial takes GPUs if
            there are some here.
    """
    trainer = config["trainer"]
    ranks = device_count(trainer)
    on_gpus = gpus_here > 0 or trainer["accelerator"] in ("gpu", "cuda")
    return Resources(trainer["num_nodes"], ranks * (config["threads"] or 1), ranks if on_gpus else 0)


def refuse_several_machines(plan: Plan) -> None:
    """Stop if a trial of the plan needs several machines.

    Raises:
        ConfigError: One does.
    """
    nodes = max(arm.config["trainer"]["num_nodes"] for arm in plan.arms.values())
    if nodes > 1:
        raise ConfigError(
            f"trainer.num_nodes is {nodes}, but the launcher {plan.spec.launcher_name} has one machine; "
            "use the launcher slurm or ray."
        )

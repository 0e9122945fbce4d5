"""Which launcher runs the trials: ``ablation.launcher``."""

import os

from vitcli.ablation.launch.launcher import Launcher
from vitcli.ablation.launch.local import LocalLauncher
from vitcli.ablation.launch.options import check_options
from vitcli.ablation.launch.ray.launcher import RayLauncher
from vitcli.ablation.launch.resources import resources
from vitcli.ablation.launch.slurm.launcher import SlurmLauncher
from vitcli.ablation.planned import Plan
from vitcli.config.errors import ConfigError


def choose(plan: Plan, workers: int) -> Launcher:
    """Return the plan's launcher; nothing is written or started before its first trial.

    Args:
        plan: What runs, and on which launcher with which options.
        workers: Trials at a time on this machine.

    Raises:
        ConfigError: An option is unknown or of the wrong kind, its package is missing, or it cannot run such trials.
    """
    options = {key: value for key, value in plan.spec.launcher.items() if key != "name"}
    name = plan.spec.launcher["name"]
    needs = [resources(arm.config, plan.gpus) for arm in plan.arms.values()]
    if name in ("local", "submitit_local") and (nodes := max(need.nodes for need in needs)) > 1:
        raise ConfigError(
            f"trainer.num_nodes is {nodes}, but the launcher {name} has one machine; use the launcher slurm or ray."
        )
    # A scheduler has a queue of its own: every trial is handed over at once.
    at_once = plan.spec.workers or len(plan.spec.chosen) * plan.spec.seeds
    if name == "slurm":
        return SlurmLauncher("slurm", plan.directory, at_once, options, plan.gpus)
    if name == "submitit_local":
        return SlurmLauncher("local", plan.directory, workers, options, plan.gpus)
    if name == "ray":
        cores = max(len(os.sched_getaffinity(0)), max(1, plan.spec.workers) * max(need.cpus for need in needs))
        return RayLauncher(at_once, options, cores, plan.gpus)
    check_options(name, options, {})
    return LocalLauncher(workers, plan.places)

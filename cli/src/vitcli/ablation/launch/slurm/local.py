"""Trials as jobs of submitit on this machine, to try without a cluster what a cluster would do."""

import time
from dataclasses import dataclass
from typing import ClassVar

from vitcli.ablation.launch.resources import refuse_several_machines
from vitcli.ablation.launch.slurm.queues import LocalQueue, Queue
from vitcli.ablation.launch.slurm.submitit_launcher import Cluster, SubmititLauncher

YEAR = 60 * 24 * 365


@dataclass(eq=False)
class SubmititLocalLauncher(SubmititLauncher):
    """Runs trials as jobs of submitit's local executor, as many at a time as fit this machine's cores.

    Args:
        plan: The ablation.
        timeout_min: Minutes before a job is ended.
        cpus_per_task: Cores of a job; one per thread of the trial by default.
        gpus_per_node: GPUs of a job; one per device of the trial by default, if it trains on GPUs.
        mem_gb, nodes, tasks_per_node: Accepted because Slurm has them; there is one machine, which is not divided.
        stderr_to_stdout: Whether submitit keeps one log per job instead of two.
        setup: Lines of shell that run before the trial.
        poll_seconds: Seconds between two looks at the jobs' processes.
        max_num_timeout: How often a job that has run out of time is started again.

    Raises:
        ConfigError: submitit is not installed, or a trial needs several machines.
    """

    timeout_min: int = YEAR
    poll_seconds: int | float = 1

    name: ClassVar[str] = "submitit_local"
    cluster: ClassVar[Cluster] = "local"
    queue: ClassVar[Queue] = LocalQueue()

    def __post_init__(self) -> None:
        refuse_several_machines(self.plan)
        super().__post_init__()
        self.places = self.plan.parallel_trials(self.plan.spec.trials)

    def stop(self) -> None:
        """Kill every job, and wait until none is left."""
        super().stop()
        until = time.monotonic() + 10
        while any([not job.done() for job in self.handles]) and time.monotonic() < until:  # noqa: C419
            time.sleep(0.05)
        self.handles.clear()

"""Trials as jobs of a Slurm cluster."""

from dataclasses import dataclass
from typing import Any, ClassVar

from vitcli.ablation.launch.resources import Resources
from vitcli.ablation.launch.slurm.queues import Queue, SlurmQueue
from vitcli.ablation.launch.slurm.submitit_launcher import Cluster, SubmititLauncher


@dataclass(eq=False)
class SlurmLauncher(SubmititLauncher):
    """Submits all trials at once, similar ones as one array of jobs; Slurm decides when each runs.

    The options are submitit's; those without a description here are sbatch's of the same name. None leaves an option out.

    Args:
        plan: The ablation.
        timeout_min, time: Minutes before a job is ended; ``time`` wins over ``timeout_min``.
        mem_gb, mem, mem_per_cpu, mem_per_gpu: Memory of a job on each machine: gigabytes, or with a unit, such as 16GB.
        nodes: Machines of a job; as many as the trial has by default.
        tasks_per_node, ntasks_per_node: Tasks on each machine. Leave it at one: a trial starts its own ranks.
        cpus_per_task, cpus_per_gpu: Cores of a job on each machine; one per thread of each rank by default.
        gpus_per_node, gpus_per_task: GPUs of a job on each machine; one per device by default, if the trial uses GPUs.
        partition, qos, account, constraint, gres, nodelist, exclude, exclusive: Where jobs run.
        dependency, comment, wckey, mail_type, mail_user: More about jobs.
        job_name: The name in the queue; the ablation's by default.
        array_parallelism: Jobs of an array that run at the same time.
        signal_delay_s: Seconds between Slurm's signal and the end of a job that has run out of time.
        setup, teardown: Lines of shell before and after the trial, such as ``module load cuda``.
        use_srun: Whether the trial is started by srun.
        srun_args: Words for srun.
        additional_parameters: Further options of sbatch, beside ``requeue``, which is set.
        stderr_to_stdout: Whether submitit keeps one log per job instead of two.
        poll_seconds: Seconds between two calls of squeue; one call asks for all jobs.
        max_num_timeout: How often a job that has run out of time is started again.

    Raises:
        ConfigError: submitit is not installed, there is no Slurm here, or squeue fails.
    """

    timeout_min: int = 60
    poll_seconds: int | float = 30
    time: int | None = None
    mem: str | int | None = None
    mem_per_cpu: str | int | None = None
    mem_per_gpu: str | int | None = None
    ntasks_per_node: int | None = None
    cpus_per_gpu: int | None = None
    gpus_per_task: int | None = None
    partition: str | None = None
    qos: str | None = None
    account: str | int | None = None
    constraint: str | None = None
    gres: str | None = None
    nodelist: str | None = None
    exclude: str | None = None
    exclusive: bool | str | None = None
    dependency: str | int | None = None
    comment: str | int | None = None
    wckey: str | int | None = None
    mail_type: str | None = None
    mail_user: str | None = None
    job_name: str | int | None = None
    array_parallelism: int | None = None
    signal_delay_s: int | None = None
    teardown: list[str] | None = None
    use_srun: bool | None = None
    srun_args: list[str] | None = None
    additional_parameters: dict[str, Any] | None = None

    name: ClassVar[str] = "slurm"
    cluster: ClassVar[Cluster] = "slurm"
    queue: ClassVar[Queue] = SlurmQueue()

    def __post_init__(self) -> None:
        super().__post_init__()
        # Slurm has a queue of its own: every trial is handed over at once.
        self.places = self.plan.spec.workers or self.plan.spec.trials

    def parameters(self, needs: Resources) -> dict[str, Any]:
        """Return submitit's parameters of a job."""
        # Without requeue, a job whose machine fails is lost rather than started again.
        return {
            "nodes": needs.nodes,
            "tasks_per_node": 1,
            **super().parameters(needs),
            "additional_parameters": {"requeue": True, **(self.additional_parameters or {})},
        }

"""Trials as jobs of submitit, whatever runs them: submitting, adopting, asking for them, and ending them."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vitcli.ablation.launch.launcher import Ended, Epoch, Key, Launcher, missing_package
from vitcli.ablation.launch.remote import epochs_done, hand_over, is_taken_up, look_again
from vitcli.ablation.launch.resources import Resources, resources
from vitcli.ablation.launch.slurm.job import ClusterTrial, recorded_end, result_file, trial_of
from vitcli.ablation.launch.slurm.queues import Queue
from vitcli.ablation.planning.plan import Plan
from vitcli.ablation.state import INTERRUPTED
from vitcli.config.errors import ConfigError

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job

Cluster = Literal["slurm", "local"]
"""What submitit calls the place where jobs run, and puts before the names of its parameters."""

ARRAY = 1000
"""Largest number of jobs in one array: Slurm's own limit, unless the cluster has set another."""

OWN = ("plan", "poll_seconds", "max_num_timeout")
"""Fields of a launcher that are not parameters of a job."""


@dataclass
class _Submitted:
    id: str
    folder: Path
    directory: Path
    epochs: int = 0
    missed: int = 0


@dataclass(eq=False)
class SubmititLauncher(Launcher):
    """Jobs of a scheduler, handed over as arrays. The launchers derived from it describe the options.

    If the runner is killed, its jobs stay with the scheduler; the next runner of the same directory finds and adopts them.

    Attributes:
        name: The word that stands for the launcher.
        cluster: Where jobs run.
        queue: What can be asked about them.
    """

    plan: Plan
    _: KW_ONLY
    timeout_min: int = 60
    mem_gb: int | float | None = None
    nodes: int | None = None
    tasks_per_node: int | None = None
    cpus_per_task: int | None = None
    gpus_per_node: int | None = None
    stderr_to_stdout: bool | None = None
    setup: list[str] | None = None
    poll_seconds: int | float = 30
    max_num_timeout: int = 10

    name: ClassVar[str]
    cluster: ClassVar[Cluster]
    queue: ClassVar[Queue]

    def __post_init__(self) -> None:
        self._check_submitit()
        # Every machine must see the directory by this path.
        place = self.plan.directory.absolute() / f".{self.name}"
        # Each runner has its own folder: submitit names a job's files by its id, and ids of processes are used again.
        self.folder = place / str(time.time_ns())
        self.waiting: list[dict[str, Any]] = []
        self.running: dict[Key, _Submitted] = {}
        self.executors: dict[Resources, AutoExecutor] = {}
        self.handles: list[Job[str]] = []
        self.asked = self.looked = 0.0
        self.left = self._left_by_earlier_runners(place)

    def _check_submitit(self) -> None:
        try:
            from submitit import LocalExecutor, SlurmExecutor
        except ModuleNotFoundError as error:
            raise missing_package(self.name, "submitit", "slurm") from error
        logging.getLogger("submitit").setLevel(logging.ERROR)
        if {"slurm": SlurmExecutor, "local": LocalExecutor}[self.cluster].affinity() < 0:
            raise ConfigError(
                "ablation.launcher is slurm, but there is no srun here; "
                "run vitcli where Slurm's commands are, or use the launcher submitit_local."
            )

    def start(self, job: dict[str, Any]) -> None:
        """Hand a trial over with the next array, unless an earlier runner's job still works on it."""
        if not self.adopt(job):
            directory = Path(job["directory"]).absolute()
            hand_over(directory)
            self.waiting.append({**job, "directory": str(directory)})

    def adopt(self, job: dict[str, Any]) -> bool:
        """Take over a trial's job that an earlier runner submitted and that still waits or runs; False if there is none.

        A job of another configuration is cancelled first, since two jobs must not write in one directory.
        """
        found, others = None, []
        for identity, submitted in self.left.pop(Path(job["directory"]).absolute(), []):
            if identity == job["identity"] and found is None:
                found = submitted
            else:
                others.append(submitted.id)
        self.queue.cancel(others)
        until = time.monotonic() + 60
        while others and self.queue.alive(others) and time.monotonic() < until:
            time.sleep(0.5)
        if found is not None:
            self.running[job["arm"], job["seed"]] = found
        return found is not None

    def wait(self, seconds: float) -> list[tuple[Key, Epoch | Ended]]:
        """Return the epochs done and the trials ended. Files are read often, the scheduler is asked seldom."""
        self._submit()
        now = time.monotonic()
        # Each look reads files of every trial, on a file system that others share.
        due = self.looked + max(0.5, len(self.running) / 100)
        time.sleep(max(0.0, min(due - now, seconds)))
        if due > now + seconds:
            return []
        self.looked = time.monotonic()
        return self._epochs() + self._ends()

    def withdraw(self, trials: Collection[Key]) -> set[Key]:
        """Cancel the jobs of these trials that still wait."""
        back = {(job["arm"], job["seed"]) for job in self.waiting}.intersection(trials)
        self.waiting = [job for job in self.waiting if (job["arm"], job["seed"]) not in back]
        asked = {key: one for key, one in self.running.items() if key in trials}
        jobs = {one.id for one in asked.values()}
        self.queue.cancel_waiting(jobs)
        alive = self.queue.alive(jobs) if jobs else None
        if alive is not None:
            # A job that has left the queue and had begun has ended by itself: ``wait`` reports it.
            back |= {key for key, one in asked.items() if one.id not in alive and not is_taken_up(one.directory)}
        for key in back.intersection(self.running):
            del self.running[key]
        return back

    def stop(self) -> None:
        """Cancel every job, and forget the trials that were not submitted yet."""
        self.waiting.clear()
        self.queue.cancel([submitted.id for submitted in self.running.values()])
        self.running.clear()

    def _submit(self) -> None:
        jobs, self.waiting = self.waiting, []
        alike: dict[Resources, list[dict[str, Any]]] = {}
        for job in jobs:
            alike.setdefault(resources(job["config"], self.plan.gpus), []).append(job)
        for needs, group in alike.items():
            for first in range(0, len(group), ARRAY):
                self._submit_array(self._executor(needs), group[first : first + ARRAY])

    def _submit_array(self, executor: "AutoExecutor", jobs: Sequence[dict[str, Any]]) -> None:
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            handles = executor.map_array(ClusterTrial(), jobs, [str(Path.cwd())] * len(jobs))
        except (FailedJobError, FailedSubmissionError) as error:
            message = " ".join(str(error).split())[-300:]
            raise ConfigError(f"sbatch refuses the jobs: {message}; see the options of ablation.launcher.") from error
        self.handles += handles
        for job, handle in zip(jobs, handles, strict=True):
            submitted = _Submitted(handle.job_id, self.folder, Path(job["directory"]))
            self.running[job["arm"], job["seed"]] = submitted

    def parameters(self, needs: Resources) -> dict[str, Any]:
        """Return submitit's parameters of a job: what follows from the trial's needs, then what was set."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in OWN}
        chosen = {"name": self.plan.directory.name, "cpus_per_task": needs.cpus, "gpus_per_node": needs.gpus or None}
        return {**chosen, **{name: value for name, value in given.items() if value is not None}}

    def _executor(self, needs: Resources) -> "AutoExecutor":
        if needs not in self.executors:
            self.executors[needs] = self._make_executor(self.parameters(needs))
        return self.executors[needs]

    def _make_executor(self, parameters: dict[str, Any]) -> "AutoExecutor":
        from submitit import AutoExecutor

        self.folder.mkdir(parents=True, exist_ok=True)
        timeouts = {f"{self.cluster}_max_num_timeout": self.max_num_timeout}
        executor = AutoExecutor(self.folder, cluster=self.cluster, **timeouts)
        try:
            executor.update_parameters(**{f"{self.cluster}_{name}": value for name, value in parameters.items()})
        except (AssertionError, NameError, TypeError, ValueError) as error:
            message = " ".join(str(error).split())[:300]
            raise ConfigError(f"ablation.launcher: submitit refuses the options: {message}") from error
        return executor

    def _epochs(self) -> list[tuple[Key, Epoch | Ended]]:
        happened: list[tuple[Key, Epoch | Ended]] = []
        for key, submitted in self.running.items():
            done = epochs_done(submitted.directory)
            if done > submitted.epochs:
                submitted.epochs = done
                happened.append((key, Epoch(done)))
        return happened

    def _ends(self) -> list[tuple[Key, Epoch | Ended]]:
        causes = {key: recorded_end(one.folder, one.id) for key, one in self.running.items()}
        ended = {key: cause for key, cause in causes.items() if cause is not None}
        if time.monotonic() >= self.asked + self.poll_seconds:
            self.asked = time.monotonic()
            left = {key: one for key, one in self.running.items() if key not in ended}
            alive = self.queue.alive({one.id for one in left.values()})
            for key, one in left.items():
                one.missed = 0 if alive is None or one.id in alive else one.missed + 1
                # What a job writes last may become visible here only after the job has left the queue.
                if one.missed > 1:
                    ended[key] = f"{INTERRUPTED}{self.queue.state(one.id)}; see log.txt"
        for key in ended:
            look_again(self.running.pop(key).directory)
        return [(key, Ended(cause)) for key, cause in ended.items()]

    def _left_by_earlier_runners(self, place: Path) -> dict[Path, list[tuple[str, _Submitted]]]:
        """Return the jobs that wait or run, by the directory of their trial; submitit's files say which trial a job runs."""
        files = {path.name.removesuffix("_submitted.pkl"): path for path in sorted(place.glob("*/*_submitted.pkl"))}
        unfinished = {job: path for job, path in files.items() if not result_file(path.parent, job).exists()}
        alive = self.queue.alive(unfinished) if unfinished else set()
        if alive is None:
            raise ConfigError(
                "squeue fails, so it is not known whether earlier jobs of this ablation still run; try again later."
            )
        found: dict[Path, list[tuple[str, _Submitted]]] = {}
        for job in sorted(alive):
            path = unfinished[job]
            trial = trial_of(path)
            directory = Path(trial["directory"])
            found.setdefault(directory, []).append((trial["identity"], _Submitted(job, path.parent, directory)))
        return found

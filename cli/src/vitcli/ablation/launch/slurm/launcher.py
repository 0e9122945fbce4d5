"""Trials as jobs of a Slurm cluster, or of submitit's local executor, which needs no cluster."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitcli.ablation.launch.launcher import Ended, Epoch, Key
from vitcli.ablation.launch.remote import epochs_done, hand_over, is_taken_up, look_again
from vitcli.ablation.launch.resources import Resources, resources
from vitcli.ablation.launch.slurm.job import ClusterTrial, end_told, result_file, trial_of
from vitcli.ablation.launch.slurm.options import NAMES, Cluster, make_executor, read_options
from vitcli.ablation.launch.slurm.queues import LocalQueue, Queue, SlurmQueue
from vitcli.ablation.state import INTERRUPTED
from vitcli.config.errors import ConfigError

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job

ARRAY = 1000
"""Jobs of one array at most: Slurm's own limit, where the cluster has not set another."""

FOREVER = 60 * 24 * 365


@dataclass
class _Submitted:
    id: str
    folder: Path
    directory: Path
    epochs: int = 0
    missed: int = 0


class SlurmLauncher:
    """Jobs of a scheduler, all handed over at once as arrays; the scheduler decides when each runs.

    A runner that is killed leaves its jobs to the scheduler; the next runner of the same directory finds and adopts them.

    Args:
        cluster: Where jobs run: a Slurm cluster, or this machine by submitit's local executor.
        directory: The ablation's directory, which every machine sees by this path.
        places: Trials handed over before one has ended.
        options: Options of ``ablation.launcher``.
        gpus_here: GPUs of this machine that the plan counts on.

    Raises:
        ConfigError: submitit is missing, there is no Slurm here, or an option is unknown or of the wrong kind.
    """

    def __init__(
        self, cluster: Cluster, directory: Path, places: int, options: Mapping[str, Any], gpus_here: int = 0
    ) -> None:
        self.cluster, self.places, self.name, self.gpus_here = cluster, places, directory.name, gpus_here
        self.parameters, own = read_options(cluster, options)
        self.every = float(own.get("poll_seconds", 30 if cluster == "slurm" else 1))
        self.timeouts = int(own.get("max_num_timeout", 10))
        self.queue: Queue = SlurmQueue() if cluster == "slurm" else LocalQueue()
        place = directory.absolute() / f".{NAMES[cluster]}"
        # A folder of this runner's own: submitit names a job's files by its id, and ids of processes come again.
        self.folder = place / str(time.time_ns())
        self.waiting: list[dict[str, Any]] = []
        self.running: dict[Key, _Submitted] = {}
        self.executors: dict[Resources, AutoExecutor] = {}
        self.handles: list[Job[str]] = []
        self.asked = self.looked = 0.0
        self.left = self._left_by_earlier_runners(place)

    def start(self, job: dict[str, Any]) -> None:
        """Hand a trial over with the next array, unless an earlier runner's job still works on it."""
        if not self.adopt(job):
            directory = Path(job["directory"]).absolute()
            hand_over(directory)
            self.waiting.append({**job, "directory": str(directory)})

    def adopt(self, job: dict[str, Any]) -> bool:
        """Take on a trial's job that an earlier runner handed over and that still lives; False if there is none.

        A job of another configuration is cancelled first: two would write in one directory.
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
        """Return the epochs done and the trials ended: read from files often, asked of the scheduler seldom."""
        self._submit()
        now = time.monotonic()
        # A look reads files of every trial, on a file system that others share.
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
            # One that has left the queue and was taken up has ended of itself: it is told of by its end.
            back |= {key for key, one in asked.items() if one.id not in alive and not is_taken_up(one.directory)}
        for key in back.intersection(self.running):
            del self.running[key]
        return back

    def stop(self) -> None:
        """Cancel every job; what was not handed over yet is forgotten."""
        self.waiting.clear()
        self.queue.cancel([submitted.id for submitted in self.running.values()])
        self.running.clear()
        if self.cluster == "local":
            until = time.monotonic() + 10
            while any([not job.done() for job in self.handles]) and time.monotonic() < until:  # noqa: C419
                time.sleep(0.05)
        self.handles.clear()

    def _submit(self) -> None:
        jobs, self.waiting = self.waiting, []
        alike: dict[Resources, list[dict[str, Any]]] = {}
        for job in jobs:
            alike.setdefault(resources(job["config"], self.gpus_here), []).append(job)
        for needs, group in alike.items():
            for first in range(0, len(group), ARRAY):
                self._submit_array(self._executor(needs), group[first : first + ARRAY])

    def _submit_array(self, executor: "AutoExecutor", jobs: Sequence[dict[str, Any]]) -> None:
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            handles = executor.map_array(ClusterTrial(), jobs, [str(Path.cwd())] * len(jobs))
        except (FailedJobError, FailedSubmissionError) as error:
            said = " ".join(str(error).split())[-300:]
            raise ConfigError(f"sbatch refuses the jobs: {said}; see the options of ablation.launcher.") from error
        self.handles += handles
        for job, handle in zip(jobs, handles, strict=True):
            submitted = _Submitted(handle.job_id, self.folder, Path(job["directory"]))
            self.running[job["arm"], job["seed"]] = submitted

    def _executor(self, needs: Resources) -> "AutoExecutor":
        if needs not in self.executors:
            parameters: dict[str, Any] = {"name": self.name, "cpus_per_task": needs.cpus}
            if needs.gpus:
                parameters["gpus_per_node"] = needs.gpus
            if self.cluster == "slurm":
                # Without the word, a job whose machine fails is lost rather than started again.
                again = {"slurm_additional_parameters": {"requeue": True}}
                parameters |= {"nodes": needs.nodes, "tasks_per_node": 1, "timeout_min": 60, **again}
            else:
                parameters["timeout_min"] = FOREVER
            self.executors[needs] = make_executor(
                self.cluster, self.folder, self.timeouts, {**parameters, **self.parameters}
            )
        return self.executors[needs]

    def _epochs(self) -> list[tuple[Key, Epoch | Ended]]:
        happened: list[tuple[Key, Epoch | Ended]] = []
        for key, submitted in self.running.items():
            done = epochs_done(submitted.directory)
            if done > submitted.epochs:
                submitted.epochs = done
                happened.append((key, Epoch(done)))
        return happened

    def _ends(self) -> list[tuple[Key, Epoch | Ended]]:
        told = {key: end_told(one.folder, one.id) for key, one in self.running.items()}
        ended = {key: cause for key, cause in told.items() if cause is not None}
        if time.monotonic() >= self.asked + self.every:
            self.asked = time.monotonic()
            left = {key: one for key, one in self.running.items() if key not in ended}
            alive = self.queue.alive({one.id for one in left.values()})
            for key, one in left.items():
                one.missed = 0 if alive is None or one.id in alive else one.missed + 1
                # What a job writes last may be seen here only after the job has left the queue.
                if one.missed > 1:
                    ended[key] = f"{INTERRUPTED}{self.queue.state(one.id)}; see log.txt"
        for key in ended:
            look_again(self.running.pop(key).directory)
        return [(key, Ended(cause)) for key, cause in ended.items()]

    def _left_by_earlier_runners(self, place: Path) -> dict[Path, list[tuple[str, _Submitted]]]:
        """Return the jobs that live, by the directory of their trial; submitit's files say which trial a job runs."""
        files = {path.name.removesuffix("_submitted.pkl"): path for path in sorted(place.glob("*/*_submitted.pkl"))}
        unfinished = {job: path for job, path in files.items() if not result_file(path.parent, job).exists()}
        alive = self.queue.alive(unfinished) if unfinished else set()
        if alive is None:
            raise ConfigError(
                "squeue fails, so nobody knows whether earlier jobs of this ablation live; try again later."
            )
        found: dict[Path, list[tuple[str, _Submitted]]] = {}
        for job in sorted(alive):
            path = unfinished[job]
            trial = trial_of(path)
            directory = Path(trial["directory"])
            found.setdefault(directory, []).append((trial["identity"], _Submitted(job, path.parent, directory)))
        return found

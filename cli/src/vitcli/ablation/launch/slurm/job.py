"""What a job of submitit runs, and the file in which submitit records how it ended."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitcli.ablation.launch.remote import let_save, run_remote

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission


SECONDS_TO_SAVE = 60.0
"""Time that a trial has to end its step and save; submitit has Slurm signal ninety seconds before the end."""


class ClusterTrial:
    """One trial, which runs on each machine of its job. Slurm may take the machines back and restart the job at any time."""

    def __call__(self, job: dict[str, Any], folder: str) -> str:
        """Run the trial; return how its process ended."""
        from submitit import JobEnvironment

        here = JobEnvironment()
        environment: dict[str, str] = {}
        if here.num_nodes > 1:
            port = 15000 + int(here.job_id.partition("_")[0]) % 10000
            environment = {"NODE_RANK": str(here.node), "MASTER_ADDR": here.hostnames[0], "MASTER_PORT": str(port)}
        return run_remote(job, folder, environment)

    def checkpoint(self, job: dict[str, Any], folder: str) -> "DelayedSubmission":
        """Let the trial save, and return what the job runs after a restart: the same trial, which goes on."""
        from submitit.core.utils import DelayedSubmission

        let_save(SECONDS_TO_SAVE)
        return DelayedSubmission(self, job, folder)


def trial_of(submitted: Path) -> dict[str, Any]:
    """Return the trial that a job runs, from the file that submitit keeps for it: the first argument of ``ClusterTrial``."""
    with submitted.open("rb") as file:
        trial: dict[str, Any] = pickle.load(file).args[0]
    return trial


def result_file(folder: Path, job: str) -> Path:
    """Return where submitit writes how the job's first machine ended."""
    return folder / f"{job}_0_result.pkl"


def recorded_end(folder: Path, job: str) -> str | None:
    """Return how the process of a job's trial ended; None if there is no record of an end yet."""
    path = result_file(folder, job)
    if not path.exists():
        return None
    with path.open("rb") as file:
        outcome, answer = pickle.load(file)
    # An error is recorded as a traceback, whose last line is the error's class and text.
    return str(answer) if outcome == "success" else str(answer).strip().split("\n")[-1].partition(": ")[2]

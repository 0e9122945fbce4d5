"""Which jobs still wait or run, asked of Slurm or, for submitit's local executor, of this machine."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol


class Queue(Protocol):
    """What can be asked about jobs, which are named by their ids."""

    def alive(self, jobs: Collection[str]) -> set[str] | None:
        """Return those that wait or run; None if that cannot be known now."""

    def cancel(self, jobs: Iterable[str]) -> None:
        """End jobs at once."""

    def cancel_waiting(self, jobs: Iterable[str]) -> None:
        """End those of these jobs that do not run yet."""

    def state(self, job: str) -> str:
        """Return what is known of the end of a job that is gone."""


class SlurmQueue:
    """Slurm's queue: one call for all jobs, however many there are."""

    def alive(self, jobs: Collection[str]) -> set[str] | None:
        """Return those that squeue lists; a job that is requeued stays listed."""
        listed = _output("squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i")
        return None if listed is None else set(jobs) & set(listed.split())

    def cancel(self, jobs: Iterable[str]) -> None:
        """Cancel by one call of scancel."""
        if names := list(jobs):
            _output("scancel", *names)

    def cancel_waiting(self, jobs: Iterable[str]) -> None:
        """Cancel those that wait. Slurm itself looks which ones do, since a job may begin at any moment."""
        if names := list(jobs):
            _output("scancel", "--state=PENDING", *names)

    def state(self, job: str) -> str:
        """Return Slurm's state, such as OUT_OF_MEMORY, if the cluster keeps accounts."""
        lines = (_output("sacct", "--noheader", "--parsable2", "--allocations", "-o", "State", "-j", job) or "").split(
            "\n"
        )
        return f"the Slurm job {job} is gone from the queue ({lines[0].strip() or 'its end is not recorded'})"


class LocalQueue:
    """Processes of this machine: a job's id is that of the process that controls it."""

    def alive(self, jobs: Collection[str]) -> set[str] | None:
        """Return those whose controller runs."""
        return {job for job in jobs if b"submitit.local._local" in _command_line(job)}

    def cancel(self, jobs: Iterable[str]) -> None:
        """Kill the controllers, so that none starts its job again, and the jobs' processes; the trials end with them."""
        for job in self.alive(list(jobs)) or ():
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{job}/task/{job}/children").read_text(encoding="ascii").split()
                for process in (job, *children):
                    os.kill(int(process), signal.SIGKILL)

    def cancel_waiting(self, jobs: Iterable[str]) -> None:
        """Do nothing: every job runs."""

    def state(self, job: str) -> str:
        """Return that the process is gone; nothing more is recorded."""
        return f"the process {job} of the job is gone"


def _output(*command: str) -> str | None:
    """Return what a command prints; None if it fails, as it does while the scheduler restarts."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _command_line(process: str) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""

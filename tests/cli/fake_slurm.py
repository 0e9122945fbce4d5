"""A cluster of one machine behind Slurm's commands: sbatch, srun, squeue, scancel, sacct and scontrol.

``install`` puts them on the PATH. A job is what its batch script says: an array, tasks on several machines (all of them
this one), a time limit that nobody keeps. A cancelled job's processes are killed, a requeued job runs again; with no core
free, jobs wait.
"""

import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COMMANDS = ("sbatch", "srun", "squeue", "scancel", "sacct", "scontrol")
LIVING = ("PENDING", "RUNNING")


def install(folder: Path, cores: int) -> dict[str, str]:
    """Write the commands and return the variables under which they are found."""
    (folder / "bin").mkdir(parents=True)
    (folder / "jobs").mkdir()
    for name in COMMANDS:
        script = folder / "bin" / name
        words = [sys.executable, str(Path(__file__).resolve()), name]
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        script.chmod(0o755)
    return {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "FAKE_SLURM": str(folder),
        "FAKE_SLURM_CORES": str(cores),
    }


def jobs(folder: Path) -> dict[str, dict[str, Any]]:
    """Return job id -> record of the job."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((folder / "jobs").glob("*.json"))}


def calls(folder: Path) -> list[str]:
    """Return the names of the commands that were called, in order."""
    return (folder / "calls").read_text().split() if (folder / "calls").exists() else []


def _place() -> Path:
    return Path(os.environ["FAKE_SLURM"])


def note(folder: Path, job: str, **changes: Any) -> dict[str, Any]:
    """Change the record of a job, and return it."""
    path = folder / "jobs" / f"{job}.json"
    with (folder / "jobs" / f".{job}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known: dict[str, Any] = (json.loads(path.read_text()) if path.exists() else {}) | changes
        draft = path.with_name(f".{job}.new")
        draft.write_text(json.dumps(known))
        draft.replace(path)
    return known


def _sbatch(script: str) -> None:
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", Path(script).read_text(), re.MULTILINE))
    if options.get("partition", "").strip("'") == "nowhere":
        sys.exit("sbatch: error: invalid partition specified: nowhere")
    with (_place() / "count").open("a+") as count:
        fcntl.flock(count, fcntl.LOCK_EX)
        count.seek(0)
        number = str(100 + len(count.read()))
        count.write("x")
    array = re.match(r"0-(\d+)", options.get("array", ""))
    nodes, tasks = int(options.get("nodes", 1)), int(options.get("ntasks-per-node", 1))
    for index in range(int(array[1]) + 1) if array else [None]:
        job = number if index is None else f"{number}_{index}"
        of_array = {} if index is None else {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": str(index)}
        environment = {
            "SLURM_JOB_ID": number,
            "SLURM_JOB_NUM_NODES": str(nodes),
            "SLURM_NNODES": str(nodes),
            "SLURM_NTASKS": str(nodes * tasks),
            "SLURM_NTASKS_PER_NODE": str(tasks),
            "SLURM_JOB_NODELIST": ",".join(["127.0.0.1"] * nodes),
            **of_array,
        }
        copied = _place() / "jobs" / f"{job}.sh"
        copied.write_text(Path(script).read_text())
        note(_place(), job, state="PENDING", starts=0, tasks=[])
        subprocess.Popen(
            [sys.executable, __file__, "run", job, str(copied)],
            env={**os.environ, **environment},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    print(f"Submitted batch job {number}")


def _run(job: str, script: str) -> None:
    """Run a job as slurmd does: wait for a core, run the script, and run it again if the job has been requeued meanwhile."""
    while note(_place(), job)["state"] == "PENDING":
        with _core() as free:
            if not free:
                time.sleep(0.05)
                continue
            if note(_place(), job)["state"] != "PENDING":
                break
            batch = subprocess.Popen(["bash", script], start_new_session=True)
            note(_place(), job, state="RUNNING", batch=batch.pid, starts=note(_place(), job)["starts"] + 1)
            code = batch.wait()
            known = note(_place(), job)
            if known.pop("requeue", False):
                note(_place(), job, state="PENDING", requeue=False)
            elif known["state"] == "RUNNING":
                note(_place(), job, state="COMPLETED" if code == 0 else "FAILED")


@contextlib.contextmanager
def _core():
    with contextlib.ExitStack() as held:
        for number in range(int(os.environ["FAKE_SLURM_CORES"])):
            lock = held.enter_context((_place() / f"core{number}").open("w"))
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield True
                return
        yield False


def _srun(*words: str) -> None:
    """Start every task of the job; the options that submitit writes come before the command."""
    rest, named = list(words), {}
    while rest[0].startswith("-"):
        word = rest.pop(0)
        if word in ("--output", "--error"):
            named[word] = rest.pop(0)
    number, index = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_TASK_ID", "")
    output = named["--output"].replace("%A", number).replace("%a", index).replace("%j", number)
    tasks = []
    each = int(os.environ["SLURM_NTASKS_PER_NODE"])
    for rank in range(int(os.environ["SLURM_NTASKS"])):
        place = {"SLURM_PROCID": rank, "SLURM_LOCALID": rank % each, "SLURM_NODEID": rank // each}
        with Path(output.replace("%t", str(rank))).open("a") as log:
            environment = os.environ | {name: str(value) for name, value in place.items()}
            tasks.append(subprocess.Popen(rest, env=environment, stdout=log, stderr=log, start_new_session=True))
    note(_place(), f"{number}_{index}" if index else number, tasks=[task.pid for task in tasks])
    sys.exit(max(task.wait() & 0xFF for task in tasks))


def _squeue(*options: str) -> None:
    for job, known in jobs(_place()).items():
        if known["state"] in LIVING:
            print(job)


def _scancel(*words: str) -> None:
    rest, number = list(words), signal.SIGKILL
    if "--state=PENDING" in rest:
        rest.remove("--state=PENDING")
        rest = [job for job in rest if note(_place(), job)["state"] == "PENDING"]
    if "--signal" in rest:
        at = rest.index("--signal")
        number = getattr(signal, f"SIG{rest[at + 1].removeprefix('SIG')}")
        del rest[at : at + 2]
    for job in rest:
        known = note(_place(), job)
        if number == signal.SIGKILL:
            note(_place(), job, state="CANCELLED by 0")
        # A signal is for the tasks; a cancelled job's batch script ends with them.
        for group in (*known["tasks"], *([known["batch"]] if number == signal.SIGKILL and "batch" in known else [])):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)


def _sacct(*options: str) -> None:
    print(f"{note(_place(), options[-1])['state']}")


def _scontrol(action: str, job: str) -> None:
    assert action == "requeue"
    note(_place(), job, requeue=True)


if __name__ == "__main__":
    with (_place() / "calls").open("a") as log:
        log.write(f"{sys.argv[1]}\n")
    globals()[f"_{sys.argv[1]}"](*sys.argv[2:])

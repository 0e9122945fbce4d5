"""The processes that train one run together: which is the first, and the directory that all of them use.

Lightning starts the others from the first (``trainer.devices`` above 1), or torchrun or srun start all of them.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vitcli.config.errors import ConfigError
from vitcli.records.json_files import write_text

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

DIRECTORY = "VITCLI_RUN_DIRECTORY"
"""Environment variable by which the first process tells the directory to the processes that Lightning starts from it."""

OUTER_RANKS = {f"SLURM_{name}" for name in ("NTASKS", "NTASKS_PER_NODE", "PROCID", "LOCALID", "NODEID")}
"""Variables of Slurm from which Lightning concludes that srun has started one process for each device."""

FIRST_OWN_STEP = 0xFFFFFFFA
"""From this number on, a step is one of Slurm's own, such as the shell of ``salloc``: srun has not started it for the user."""

SECONDS_TO_WAIT = 120.0
"""Time that the first process of a Slurm step has to choose the directory."""


def is_first_rank() -> bool:
    """Whether this is the first of the processes that train together, the only one that writes and prints."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "NODE_RANK", "LOCAL_RANK", "SLURM_PROCID"))


def forget_allocation() -> None:
    """Inside an allocation (``salloc``, ``sbatch``) but without srun, remove the variables with its number of tasks.

    They describe what srun would start, but this process is alone; Lightning would wait for the others forever.
    """
    environment = os.environ
    step = environment.get("SLURM_STEP_ID", str(FIRST_OWN_STEP))
    if "SLURM_JOB_ID" in environment and int(step) >= FIRST_OWN_STEP:
        for name in OUTER_RANKS:
            environment.pop(name, None)


def refuse_lonely_process(nodes: int, place: str) -> None:
    """Refuse a training on several machines if this process was started alone.

    Raises:
        ConfigError: It was; it would wait for the others forever.
    """
    started = ("SLURM_NTASKS", "TORCHELASTIC_RUN_ID", "NODE_RANK", "GROUP_RANK", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE")
    if nodes > 1 and not any(name in os.environ for name in started):
        raise ConfigError(
            f"{place}: trainer.num_nodes is {nodes}, but this process was started alone; start it on every machine with srun "
            f"or torchrun, for example: srun --nodes {nodes} --ntasks-per-node DEVICES vitcli fit ..."
        )


def any_rank(trainer: "Trainer", here: object) -> bool:
    """Whether something holds in any of the processes that train together, all of which must ask at the same moment."""
    if trainer.world_size == 1:
        return bool(here)
    return trainer.strategy.reduce_boolean_decision(bool(here), all=False)


def common_directory(choose: Callable[[], Path], parent: Path) -> Path:
    """Return the directory that the first process chooses, in all processes of a run.

    Args:
        choose: Returns an unused directory; only the first process calls it.
        parent: Directory of the runs, which all processes can read.

    Raises:
        ConfigError: The first process of a Slurm step chose no directory in time.
    """
    environment = os.environ
    if "TORCHELASTIC_RUN_ID" in environment:
        return _by_torchrun(choose, environment)
    if int(environment.get("SLURM_NTASKS", "1")) > 1 and "SLURM_STEP_ID" in environment:
        return _by_slurm(choose, parent, environment)
    if is_first_rank():
        environment[DIRECTORY] = str(choose())
    return Path(environment[DIRECTORY]) if DIRECTORY in environment else choose()


def _by_torchrun(choose: Callable[[], Path], environment: Mapping[str, str]) -> Path:
    """Exchange the directory through the key-value store that torchrun serves to its processes."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore(environment["MASTER_ADDR"], int(environment["MASTER_PORT"]), is_master=False)
    key = f"vitcli/directory/{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    if is_first_rank():
        store.set(key, str(choose()))
    return Path(store.get(key).decode())


def _by_slurm(choose: Callable[[], Path], parent: Path, environment: Mapping[str, str]) -> Path:
    """Exchange the directory through a file that is named after the step, since srun serves no store."""
    names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    note = parent / f".directory-{'-'.join(environment.get(name, '0') for name in names)}"
    if is_first_rank():
        parent.mkdir(parents=True, exist_ok=True)
        write_text(note, str(choose()))
    until = time.monotonic() + SECONDS_TO_WAIT
    while not note.is_file():
        if time.monotonic() > until:
            raise ConfigError(
                f"{note}: the first process of the Slurm step wrote no directory; can all nodes read {parent}?"
            )
        time.sleep(0.2)
    return Path(note.read_text(encoding="utf-8"))

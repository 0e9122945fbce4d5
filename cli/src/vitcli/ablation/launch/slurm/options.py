"""The options of ``ablation.launcher`` as submitit's parameters."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitcli.ablation.launch.options import check_options, missing
from vitcli.config.errors import ConfigError

if TYPE_CHECKING:
    from submitit import AutoExecutor

Cluster = Literal["slurm", "local"]

NAMES: dict[Cluster, str] = {"slurm": "slurm", "local": "submitit_local"}
OWN: dict[str, tuple[type, ...]] = {"poll_seconds": (int, float), "max_num_timeout": (int,)}
STRUCTURED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("setup", "teardown", "srun_args"), (list,)),
    "additional_parameters": (dict,),
}
SCALAR = (str, int, float, bool)


def read_options(cluster: Cluster, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return submitit's parameters and the launcher's own options.

    Args:
        cluster: Where jobs run.
        options: What was set; Slurm's parameters with or without ``slurm_`` before their names.

    Raises:
        ConfigError: submitit is missing, there is no Slurm here, or an option is unknown or of the wrong kind.
    """
    try:
        from submitit import AutoExecutor, LocalExecutor, SlurmExecutor
    except ModuleNotFoundError as error:
        raise missing(NAMES[cluster], "submitit", "slurm") from error
    logging.getLogger("submitit").setLevel(logging.ERROR)
    executor = SlurmExecutor if cluster == "slurm" else LocalExecutor
    if executor.affinity() < 0:
        raise ConfigError(
            "ablation.launcher is slurm, but there is no srun here; "
            "run vitcli where Slurm's commands are, or use the launcher submitit_local."
        )
    shared = {
        name: (int, float) if kind is float else (kind,) for name, kind in AutoExecutor._typed_parameters().items()
    }
    # submitit itself warns of num_gpus: the name is older than gpus_per_node.
    further = {name: STRUCTURED.get(name, SCALAR) for name in executor._valid_parameters() - {"num_gpus", *shared}}
    given = {str(name).removeprefix(f"{cluster}_"): value for name, value in options.items()}
    check_options(NAMES[cluster], given, {**shared, **further, **OWN})
    parameters = {
        name if name in shared else f"{cluster}_{name}": value for name, value in given.items() if name not in OWN
    }
    return parameters, {name: value for name, value in given.items() if name in OWN}


def make_executor(cluster: Cluster, folder: Path, timeouts: int, parameters: Mapping[str, Any]) -> "AutoExecutor":
    """Return an executor that keeps its files in ``folder``.

    Raises:
        ConfigError: submitit refuses a parameter.
    """
    from submitit import AutoExecutor

    folder.mkdir(parents=True, exist_ok=True)
    executor = AutoExecutor(folder, cluster=cluster, **{f"{cluster}_max_num_timeout": timeouts})
    try:
        executor.update_parameters(**parameters)
    except (AssertionError, NameError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        raise ConfigError(f"ablation.launcher: submitit refuses the options: {said}") from error
    return executor

"""vitcli: the command line, the launchers that an ablation file names by their class paths, and runs and results in Python."""

import importlib
from typing import Any

MODULES = {
    "Launcher": "vitcli.ablation.launch.launcher",
    "LocalLauncher": "vitcli.ablation.launch.local",
    "RayLauncher": "vitcli.ablation.launch.ray.launcher",
    "SlurmLauncher": "vitcli.ablation.launch.slurm.launcher",
    "SubmititLocalLauncher": "vitcli.ablation.launch.slurm.local",
}
"""The module of each launcher. It is imported when the class is asked for, so that ``import vitcli`` stays light."""

IN_PYTHON = {
    "Ended": "vitcli.ablation.launch.launcher",
    "Epoch": "vitcli.ablation.launch.launcher",
    "Plan": "vitcli.ablation.planning.plan",
    "Results": "vitcli.report.data_frames",
    "TrainedRun": "vitcli.trained.load",
    "load_run": "vitcli.trained.load",
    "results": "vitcli.report.data_frames",
}
"""The module of what else is used in Python: what opens a trained run or results, and what a launcher of one's own needs."""


def __getattr__(name: str) -> Any:
    module = {**MODULES, **IN_PYTHON}.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return [*globals(), *MODULES, *IN_PYTHON]

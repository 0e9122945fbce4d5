"""vitcli: the command line, the launchers that an ablation file names by their class paths, and trained runs in Python."""

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

TRAINED = {"TrainedRun": "vitcli.trained.load", "load_run": "vitcli.trained.load"}
"""The module of what opens a trained run in Python, also imported when it is asked for."""


def __getattr__(name: str) -> Any:
    module = {**MODULES, **TRAINED}.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return [*globals(), *MODULES, *TRAINED]

"""vitcli: the command line, and the launchers that an ablation file names by their class paths."""

import importlib
from typing import Any

MODULES = {
    "Launcher": "vitcli.ablation.launch.launcher",
    "LocalLauncher": "vitcli.ablation.launch.local",
    "RayLauncher": "vitcli.ablation.launch.ray.launcher",
    "SlurmLauncher": "vitcli.ablation.launch.slurm.launcher",
    "SubmititLocalLauncher": "vitcli.ablation.launch.slurm.local",
}
"""The module of each public class. It is imported when the class is asked for, so that ``import vitcli`` stays light."""


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(MODULES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *MODULES]

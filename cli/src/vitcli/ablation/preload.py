"""Imports what the processes need that are forked from the server; nothing else imports this module.

All of them share what is imported here, which saves both time and memory. The last modules of ``TRAINING`` are those that
Lightning, TensorBoard, jsonargparse and the digits import at their first use; importing them takes half a second.
"""

import contextlib
import ctypes
import importlib
import os
import signal

from vitcli.imports import heavy_imports

PR_SET_PDEATHSIG = 1

PLANNING = ("vitcli.ablation.planning.make_plan", "vitmodels", "vittasks")
TRAINING = (
    "vitcli.ablation.trial",
    "sklearn.datasets",
    "torch.utils.tensorboard",
    "torch.utils.serialization.config",
    "fsspec.implementations.chained",
    "xml.dom.minidom",
    "attrs",
)


def _end_with_the_runner() -> None:
    """Have the kernel kill the server when the runner ends, which the server would not notice during its imports."""
    with contextlib.suppress(AttributeError, OSError):  # only Linux has prctl
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.environ.get("VITCLI_RUNNER") != str(os.getppid()):  # it has ended already
        os._exit(1)


if "VITCLI_RUNNER" in os.environ:
    _end_with_the_runner()

with heavy_imports():
    for name in PLANNING if os.environ.get("VITCLI_PRELOAD") == "planning" else (*PLANNING, *TRAINING):
        with contextlib.suppress(ImportError):  # a trial that needs the module reports that it is missing
            importlib.import_module(name)

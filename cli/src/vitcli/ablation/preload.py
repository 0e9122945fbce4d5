"""Imports everything that a trial needs, for the server process that trials are forked from; nothing else imports this module.

All trials share what is imported here, which saves both time and memory. The last modules of the list are those that Lightning,
TensorBoard, jsonargparse and the digits import at their first use; importing them takes half a second.
"""

import contextlib
import importlib

for name in (
    "vitcli.ablation.plan",
    "vitcli.ablation.trial",
    "vitmodels",
    "vittasks",
    "sklearn.datasets",
    "torch.utils.tensorboard",
    "torch.utils.serialization.config",
    "fsspec.implementations.chained",
    "xml.dom.minidom",
    "attrs",
):
    with contextlib.suppress(ImportError):  # a trial that needs the module reports that it is missing
        importlib.import_module(name)

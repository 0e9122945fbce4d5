"""All that a trial imports, for the server that trials are forked from; nothing else imports this module.

What is imported here is shared by all trials, in time and memory. The last ones of the list are what Lightning, TensorBoard,
jsonargparse and the digits import at their first use: half a second of every trial.
"""

import atexit
import contextlib
import gc
import importlib

from vitcli.ablation.library_pages import release_library_pages

gc.disable()  # nothing that is imported becomes garbage, and the collector would go through it again and again
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
    with contextlib.suppress(ImportError):  # what a trial lacks it says itself; what it can do without is no loss
        importlib.import_module(name)

# A collection in a trial would touch, and so copy, the pages of everything that it shares with the others.
gc.collect()
gc.freeze()
atexit.register(gc.unfreeze)  # the server's end takes down what it has, as any other process's
gc.enable()
release_library_pages()

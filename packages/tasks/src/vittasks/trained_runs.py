"""Loading a trained run. vitcli writes runs and reads them; it is found by its entry point, since it builds on this package."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

READERS = "vittasks.runs"
"""Group of the entry points that load a run's directory."""


def load_run(directory: str | Path, weights: Literal["ema", "last"] | None = None) -> Any:
    """Load a trained run from its directory, such as ``runs/NAME/fit0`` or ``runs/NAME/ARM/seed0``.

    Args:
        directory: The run's directory.
        weights: ``ema``: the averaged weights; ``last``: those of the last step. By default the averaged ones if the run has any.

    Returns:
        A ``vitcli.TrainedRun`` in evaluation mode: its ``model`` takes images (b, c, H, W) and returns logits, its ``transform``
        makes such an image of one of Pillow's, and ``class_names`` are in the order of the logits.

    Raises:
        ModuleNotFoundError: vitcli is not installed.
        ValueError: There is no trained run, or it is damaged or lacks these weights.
    """
    for reader in entry_points(group=READERS):
        return reader.load()(directory, weights)
    raise ModuleNotFoundError("load_run needs vitcli, which writes and reads the directories of runs; install vitcli.")

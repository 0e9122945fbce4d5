"""Models with weights from a file, which has the names of a public implementation or ours."""

from pathlib import Path
from typing import Any

import timm
from torch import nn

from vitmodels.skeletons.checkpoint import KeyRules, read_checkpoint, translate
from vitmodels.skeletons.timm_interface import PRESETS


def load_checkpoint(name: str, path: str | Path, **arguments: Any) -> nn.Module:
    """Build a model with the weights of a file; every weight of the file is used and every weight of the model is filled.

    Args:
        name: A model of this package.
        path: A .pth file or one of safetensors, under the names of the public implementation or ours.
        **arguments: Arguments of the model's builder, such as ``img_size``, to which tables of positions are interpolated.

    Raises:
        ValueError: There is no such model, or the file does not fit it; the message lists what is missing and left over.
    """
    if name not in PRESETS:
        raise ValueError(f"load_checkpoint: there is no model {name!r}; vitmodels.MODELS lists them.")
    model = timm.create_model(name, **arguments)
    state = read_checkpoint(path)
    try:
        model.load_state_dict(translate(state, PRESETS[name].rules or KeyRules(()), model))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model

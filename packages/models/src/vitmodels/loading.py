"""Models with weights from a file, which has the names of a public implementation or ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from vitmodels.skeletons.timm_interface import PRESETS


def load_checkpoint(name: str, path: str | Path | Mapping[str, Tensor] | None, **arguments: Any) -> nn.Module:
    """Build a model with the weights of a file: the head may be new, everything else must fit.

    The head is new if it has another size than the file's or the file has none. Tables of positions are interpolated to another
    image or window, with a warning. The first convolution is adapted to other input channels. A part that is swapped for one of
    another class, which the file does not have, is new. What is new is logged.

    Args:
        name: A model of this package.
        path: A file of PyTorch or safetensors under the names of the public implementation, of timm, of transformers or of this
            package, whatever mappings and prefixes wrap them; a trial's directory, such as runs/act/relu6/seed0; or a
            ``local-dir:`` of timm. Also a state dict; None for a model without weights.
        **arguments: Arguments of the model's builder, such as ``num_classes`` and ``img_size``, or of ``timm.create_model``.

    Raises:
        FileNotFoundError: There is nothing at this path.
        ValueError: There is no such model, or the file holds no state dict.
        MisfitError: The file does not fit the model; the message counts what does not fit. It is a ValueError, too.
    """
    if name not in PRESETS:
        raise ValueError(f"load_checkpoint: there is no model {name!r}; vitmodels.MODELS lists them.")
    if path is None:
        return timm.create_model(name, **arguments)
    weights = {"state_dict": dict(path)} if isinstance(path, Mapping) else {"file": str(path)}
    return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=weights, **arguments)

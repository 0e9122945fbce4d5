"""Axial attention in a pyramid of Swin's shape: each token attends along its column, then along its row.

How it maps to the slots: ``mixer`` is position-sensitive axial attention whose tables span the map at 224 px,
``feed_forward`` an MLP, ``downsample`` that of Swin. Widths and depths are Swin's, so that attention alone differs from
it.

These models are ours and have no published figure: the paper puts axial attention into a ResNet.

Source: Wang et al., Axial-DeepLab: Stand-Alone Axial-Attention for Panoptic Segmentation, ECCV 2020 (the attention).
"""

from typing import Any

from vitmodels.presets.swin import DEEP, LAYER_NORM, MLP_BRANCH, TINY, merging
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset


def axial_stages(width: int, depths: tuple[int, ...]) -> dict[str, Any]:
    """Return the four stages."""
    stages = {}
    for i, depth in enumerate(depths, 1):
        op = part("vitcore.PositionSensitiveAxialAttention", head_dim=32, span=112 // 2**i)
        stages[f"stage{i}"] = {
            "mixer": {"op": op, "norm": LAYER_NORM, "drop_path_scale": 1.0},
            "feed_forward": MLP_BRANCH,
            "width": width * 2 ** (i - 1),
            "depth": depth,
            "downsample": merging(i),
        }
    return stages


def _axial(size: str, width: int, depths: tuple[int, ...]) -> Any:
    description = f"Axial attention of size {size}: ours, no published figure."
    return preset(f"axial_{size}", pyramid, description, norm=LAYER_NORM, **axial_stages(width, depths))


axial_tiny = _axial("tiny", 96, TINY)
axial_small = _axial("small", 96, DEEP)
axial_base = _axial("base", 128, DEEP)

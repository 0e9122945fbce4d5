"""PVT on the Pyramid skeleton: spatial-reduction attention on four stages.

How the paper maps to the slots: ``downsample`` cuts patches of 4 and then 2 tokens, ``absolute_position`` is a table for each
stage, ``mixer`` spatial-reduction attention with reductions 8, 4, 2 and 1, ``feed_forward`` an MLP with ratios 8, 8, 4 and 4.
The class token joins in the last stage; the head reads it. The epsilon of the norms is 1e-6 in the blocks and before the head,
1e-5 behind the patch embeddings and in the reduction. The position tables decay with the weights, as in the public code.

The depths are those of the public code, 3-4-6-3 and 3-4-18-3: they give the parameters and MACs that the paper prints, unlike
the 3-3-6-3 and 3-3-18-3 of its Table 1.

Source: Wang et al., Pyramid Vision Transformer: A Versatile Backbone for Dense Prediction without Convolutions, ICCV 2021.
"""

from typing import Any

from vitmodels.presets.key_rules import PVT
from vitmodels.skeletons.column import LAYER_NORM
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset

WIDTHS, REDUCTIONS, RATIOS = (64, 128, 320, 512), (8, 4, 2, 1), (8.0, 8.0, 4.0, 4.0)


def reduction_branch(reduction: int) -> dict[str, Any]:
    """Return the data of the attention branch of a stage."""
    op = part("vitcore.SpatialReductionAttention", head_dim=64, reduction=reduction)
    return {"op": op, "norm": LAYER_NORM, "drop_path_scale": 1.0}


def mlp_branch(ratio: float) -> dict[str, Any]:
    """Return the data of the feed-forward branch of a stage."""
    return {"op": part("vitcore.Mlp", ratio=ratio), "norm": LAYER_NORM, "drop_path_scale": 1.0}


def patches(stage: int) -> dict[str, Any]:
    """Return the data of the part that makes the grid of stage 1, 2, 3 or 4: patches that do not overlap, and a norm."""
    if stage == 1:
        return part("vitcore.OverlapPatchEmbedding", kernel_size=4, stride=4, padding=0)
    return part("vitcore.OverlapPatchMerging", kernel_size=2, stride=2, padding=0)


def pvt_stages(depths: tuple[int, int, int, int]) -> dict[str, Any]:
    """Return the four stages."""
    table = part("vitcore.AbsolutePosition", interpolation="bilinear", weight_decay="as_weights")
    stages = {}
    for i, (width, depth, reduction, ratio) in enumerate(zip(WIDTHS, depths, REDUCTIONS, RATIOS, strict=True), 1):
        stages[f"stage{i}"] = {
            "mixer": reduction_branch(reduction),
            "feed_forward": mlp_branch(ratio),
            "width": width,
            "depth": depth,
            "downsample": patches(i),
            "absolute_position": table,
            "prefix_tokens": int(i == 4),
        }
    return stages


def _pvt(name: str, description: str, *depths: int) -> Any:
    return preset(name, pyramid, description, PVT, global_pool="token", **pvt_stages(depths))  # type: ignore[arg-type]


pvt_tiny = _pvt("pvt_tiny", "PVT-Tiny (75.1 % top-1 published).", 2, 2, 2, 2)
pvt_small = _pvt("pvt_small", "PVT-Small (79.8 % top-1 published).", 3, 4, 6, 3)
pvt_medium = _pvt("pvt_medium", "PVT-Medium (81.2 % top-1 published).", 3, 4, 18, 3)
pvt_large = _pvt("pvt_large", "PVT-Large (81.7 % top-1 published).", 3, 8, 27, 3)

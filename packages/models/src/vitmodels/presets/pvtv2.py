"""PVTv2 on the Pyramid skeleton: overlapping patches, convolutional feed-forward, and in b2_li attention to pooled keys.

How the paper maps to the slots: ``downsample`` overlaps (7 x 7 with stride 4, then 3 x 3 with stride 2), ``mixer`` is PVT's
spatial-reduction attention, ``feed_forward`` has a depth-wise 3 x 3 convolution, ``norm`` ends every stage. There is no table of
positions, no class token, and no norm of its own before the head, which reads the average. In b2_li all four stages attend to
7 x 7 pooled keys, and a ReLU precedes the depth-wise convolution, as in the public code. ``fan_out_weights`` are that code's
initial weights.

The models are called pvtv2_b0 ... here, because timm has its own pvt_v2_b0 ...

Source: Wang et al., PVT v2: Improved Baselines with Pyramid Vision Transformer, CVMJ 2022, Table 1.
"""

from typing import Any

from vitmodels.presets.key_rules import PVT
from vitmodels.presets.pvt import REDUCTIONS
from vitmodels.skeletons.column import LAYER_NORM
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset

HEADS = (1, 2, 5, 8)


def overlapping_patches(stage: int) -> dict[str, Any]:
    """Return the data of the part that makes the grid of stage 1, 2, 3 or 4: overlapping patches and a norm."""
    if stage == 1:
        return part("vitcore.OverlapPatchEmbedding", kernel_size=7, stride=4, padding=3)
    return part("vitcore.OverlapPatchMerging", kernel_size=3, stride=2, padding=1)


def pvtv2_stages(
    widths: tuple[int, ...], depths: tuple[int, ...], ratios: tuple[float, ...], keys: str = "reduced"
) -> dict[str, Any]:
    """Return the four stages; ``keys`` are ``reduced`` by a strided convolution or ``pooled`` to 7 x 7."""
    stages = {}
    for i, (width, depth, ratio, reduction, heads) in enumerate(
        zip(widths, depths, ratios, REDUCTIONS, HEADS, strict=True), 1
    ):
        head_dim = width // heads
        if keys == "pooled":
            mixer = part("vitcore.PooledReductionAttention", head_dim=head_dim, pool_size=7)
            feed_forward = part("vitcore.ConvolutionalFeedForward", ratio=ratio, activation_before="torch.nn.ReLU")
        else:
            mixer = part("vitcore.SpatialReductionAttention", head_dim=head_dim, reduction=reduction)
            feed_forward = part("vitcore.ConvolutionalFeedForward", ratio=ratio)
        stages[f"stage{i}"] = {
            "mixer": {"op": mixer, "norm": LAYER_NORM, "drop_path_scale": 1.0},
            "feed_forward": {"op": feed_forward, "norm": LAYER_NORM, "drop_path_scale": 1.0},
            "width": width,
            "depth": depth,
            "downsample": overlapping_patches(i),
            "norm": LAYER_NORM,
        }
    return stages


WIDTHS = (64, 128, 320, 512)
DEPTHS = {
    "b0": (2, 2, 2, 2),
    "b1": (2, 2, 2, 2),
    "b2": (3, 4, 6, 3),
    "b3": (3, 4, 18, 3),
    "b4": (3, 8, 27, 3),
    "b5": (3, 6, 40, 3),
}
RATIOS = (8.0, 8.0, 4.0, 4.0)


def _pvtv2(name: str, description: str, stages: dict[str, Any]) -> Any:
    return preset(
        name,
        pyramid,
        description,
        PVT,
        norm="torch.nn.Identity",
        initial_weights="vitmodels.fan_out_weights",
        **stages,
    )


pvtv2_b0 = _pvtv2(
    "pvtv2_b0", "PVTv2-B0 (70.5 % top-1 published).", pvtv2_stages((32, 64, 160, 256), DEPTHS["b0"], RATIOS)
)
pvtv2_b1 = _pvtv2("pvtv2_b1", "PVTv2-B1 (78.7 % top-1 published).", pvtv2_stages(WIDTHS, DEPTHS["b1"], RATIOS))
pvtv2_b2 = _pvtv2("pvtv2_b2", "PVTv2-B2 (82.0 % top-1 published).", pvtv2_stages(WIDTHS, DEPTHS["b2"], RATIOS))
pvtv2_b2_li = _pvtv2(
    "pvtv2_b2_li",
    "PVTv2-B2-Li: linear attention to 7 x 7 pooled keys (82.1 % top-1 published).",
    pvtv2_stages(WIDTHS, DEPTHS["b2"], RATIOS, keys="pooled"),
)
pvtv2_b3 = _pvtv2("pvtv2_b3", "PVTv2-B3 (83.2 % top-1 published).", pvtv2_stages(WIDTHS, DEPTHS["b3"], RATIOS))
pvtv2_b4 = _pvtv2("pvtv2_b4", "PVTv2-B4 (83.6 % top-1 published).", pvtv2_stages(WIDTHS, DEPTHS["b4"], RATIOS))
pvtv2_b5 = _pvtv2(
    "pvtv2_b5", "PVTv2-B5 (83.8 % top-1 published).", pvtv2_stages(WIDTHS, DEPTHS["b5"], (4.0, 4.0, 4.0, 4.0))
)

"""Pale Transformer on the Pyramid skeleton: pale-shaped attention in all stages, a conditional position in every block.

How the paper maps to the slots: ``position`` is a depth-wise 3 x 3 convolution, ``mixer`` pale-shaped attention with
pales of 7 rows and 7 columns and separable projections, ``feed_forward`` an MLP, ``downsample`` overlaps (7 x 7 with
stride 4, then 3 x 3 with stride 2).

There is no public code of the authors. The one implementation that is public (not theirs) has no norm behind the patch
merging nor before the head, scales the scores by the square root of twice the channels of a head, and ends in a softmax.
The plain names here have the norms and the usual scale, at 3,840 to 7,680 parameters more; ``pale_tiny_compat`` ...
compute what that code computes before its softmax. Widths and heads of tiny and small were quoted without the paper at
hand; they give the published parameters and MACs.

Source: Wu et al., Pale Transformer: A General Vision Transformer Backbone with Pale-Shaped Attention, AAAI 2022.
"""

from typing import Any

from torch import Tensor, nn

from vitmodels.presets.key_rules import blocks
from vitmodels.presets.swin import LAYER_NORM, MLP_BRANCH
from vitmodels.skeletons.checkpoint import KeyRules
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset

SIZES = {"tiny": (64, (2, 4, 8, 16)), "small": (96, (2, 4, 8, 16)), "base": (128, (4, 8, 16, 32))}
"""Width of the first stage, heads of each half of the channels."""
DEPTHS = (2, 2, 16, 2)
POSITION_BRANCH: Any = {"op": "vitcore.ConditionalPosition", "norm": "torch.nn.Identity", "drop_path_scale": 0.0}


def pale_branch(head_dim: int, pale: int = 7, scale: float | None = None) -> dict[str, Any]:
    """Return the data of the attention branch."""
    op = part("vitcore.PaleAttention", head_dim=head_dim, pale=pale, scale=scale)
    return {"op": op, "norm": LAYER_NORM, "drop_path_scale": 1.0}


def overlapping(stage: int, norm: Any) -> dict[str, Any]:
    """Return the data of the part that makes the grid of stage 1, 2, 3 or 4."""
    if stage == 1:
        return part("vitcore.OverlapPatchEmbedding", kernel_size=7, stride=4, padding=3, norm=norm)
    return part("vitcore.OverlapPatchMerging", kernel_size=3, stride=2, padding=1, norm=norm)


def pale_stages(size: str, norm: Any = LAYER_NORM, widening: int | None = None) -> dict[str, Any]:
    """Return the four stages; scores are scaled by (widening * head_dim) ** -0.5 if ``widening`` is given."""
    first_width, heads = SIZES[size]
    stages = {}
    for i, (depth, count) in enumerate(zip(DEPTHS, heads, strict=True), 1):
        width = first_width * 2 ** (i - 1)
        head_dim = width // (2 * count)
        stages[f"stage{i}"] = {
            "position": POSITION_BRANCH,
            "mixer": pale_branch(head_dim, scale=None if widening is None else (widening * head_dim) ** -0.5),
            "feed_forward": MLP_BRANCH,
            "width": width,
            "depth": depth,
            "downsample": overlapping(i, norm),
        }
    return stages


def as_linear(name: str, value: Tensor, model: nn.Module) -> Tensor:
    """Return a 1 x 1 convolution's weight as that of a linear map."""
    return value.flatten(1) if value.ndim == 4 and value.shape[2:] == (1, 1) else value


_PALE_QKV = tuple(
    (f"attn.qkv.{number}.{old}.", f"mixer.op.qkv.{letter}.{new}.")
    for number, letter in enumerate("qkv")
    for old, new in (("dw", "depthwise"), ("bn", "norm"), ("pw", "pointwise"))
)
_PALE = (
    ("cpe.", "position.op.convolution."),
    ("norm1.ln.", "mixer.norm."),
    ("norm2.ln.", "feed_forward.norm."),
    ("attn.proj.", "mixer.op.projection."),
    *_PALE_QKV,
)
RULES = KeyRules(
    (
        (r"patch_merg_convs\.(\d)\.(.+)", r"stages.\1.downsample.projection.\2"),
        *blocks(r"ps_blocks\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2.", _PALE),
        (r"proj\.(.+)", r"head.\1"),
    ),
    transform=as_linear,
)


def _pale(name: str, description: str, size: str) -> Any:
    return preset(name, pyramid, description, norm=LAYER_NORM, **pale_stages(size))


def _compat(size: str) -> Any:
    description = (
        f"Pale of size {size} as the public code, which is not the authors', computes it: no norms between stages."
    )
    stages = pale_stages(size, norm="torch.nn.Identity", widening=2)
    return preset(
        f"pale_{size}_compat",
        pyramid,
        description,
        RULES,
        norm="torch.nn.Identity",
        initial_weights="vitmodels.torch_weights",
        **stages,
    )


pale_tiny = _pale("pale_tiny", "Pale-T (83.4 % top-1 published).", "tiny")
pale_small = _pale("pale_small", "Pale-S (84.3 % top-1 published).", "small")
pale_base = _pale("pale_base", "Pale-B (84.9 % top-1 published).", "base")
pale_tiny_compat = _compat("tiny")
pale_small_compat = _compat("small")
pale_base_compat = _compat("base")

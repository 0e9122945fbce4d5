"""NAT on the Pyramid skeleton: neighbourhood attention in all stages.

How the paper maps to the slots: ``mixer`` is neighbourhood attention over 7 x 7 tokens (clamped at the borders, relative bias),
``feed_forward`` an MLP of ratio 3 (mini, tiny) or 2 (small, base), ``downsample`` two 3 x 3 convolutions of stride 2 and then one
for each stage, with a norm each. The epsilon of all norms is 1e-5.

The configurations follow the public code from memory and give the published parameters and MACs. That code's layer scale for
small and base is left out, because it concerns training, not locality. Its downsampling convolutions behind the first stage have
no bias and ours have one, which is zero when a checkpoint is loaded and then changes nothing.

Source: Hassani et al., Neighborhood Attention Transformer, CVPR 2023.
"""

from typing import Any

from vitmodels.presets.key_rules import (
    ATTENTION,
    BASE,
    HEAD,
    TRANSFORMERS_BLOCK,
    TRANSFORMERS_HEAD,
    TRANSFORMERS_JOINTS,
    Renames,
    blocks,
    renames,
)
from vitmodels.presets.swin import LAYER_NORM
from vitmodels.skeletons.checkpoint import KeyRules
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset

SIZES = {
    "mini": (64, (3, 4, 6, 5), 3.0),
    "tiny": (64, (3, 4, 18, 5), 3.0),
    "small": (96, (3, 4, 18, 5), 2.0),
    "base": (128, (3, 4, 18, 5), 2.0),
}
"""Width of the first stage, depths, ratio of the feed-forward."""


def neighborhood_branch(kernel_size: int = 7) -> dict[str, Any]:
    """Return the data of the attention branch."""
    op = part("vitcore.NeighborhoodAttention", head_dim=32, kernel_size=kernel_size)
    return {"op": op, "norm": LAYER_NORM, "drop_path_scale": 1.0}


def tokenizer(stage: int) -> dict[str, Any]:
    """Return the data of the part that makes the grid of stage 1, 2, 3 or 4."""
    if stage > 1:
        return part("vitcore.OverlapPatchMerging", kernel_size=3, stride=2, padding=1, norm=LAYER_NORM)
    return part(
        "vitcore.ConvStem",
        layers=2,
        last="none",
        norm="torch.nn.Identity",
        activation="torch.nn.Identity",
        last_norm=LAYER_NORM,
        bias=1,
    )


def nat_stages(size: str) -> dict[str, Any]:
    """Return the four stages of ``mini``, ``tiny``, ``small`` or ``base``."""
    first_width, depths, ratio = SIZES[size]
    return {
        f"stage{i}": {
            "mixer": neighborhood_branch(),
            "feed_forward": {"op": part("vitcore.Mlp", ratio=ratio), "norm": LAYER_NORM, "drop_path_scale": 1.0},
            "width": first_width * 2 ** (i - 1),
            "depth": depth,
            "downsample": tokenizer(i),
        }
        for i, depth in enumerate(depths, 1)
    }


FIRST_CONV = "stages.0.downsample.layers.0.0"

_NO_BIAS = ("stages.[123].downsample.projection.bias",)


def _tokenizers(stem: str, stages: str) -> Renames:
    """Return the renames of the four downsamplings, given expressions for the modules of the first and of the others."""
    return (
        (rf"{stem}\.(\d)\.(.+)", r"stages.0.downsample.layers.\1.0.\2"),
        (rf"{stages}\.(?P<stage>\d)\.downsample\.reduction\.(.+)", r"stages.{next}.downsample.projection.\2"),
        (rf"{stages}\.(?P<stage>\d)\.downsample\.norm\.(.+)", r"stages.{next}.downsample.norm.\2"),
    )


_TRANSFORMERS = KeyRules(
    (
        *_tokenizers(rf"{BASE}embeddings\.patch_embeddings\.projection", rf"{BASE}levels"),
        (rf"{BASE}embeddings\.norm\.(.+)", r"stages.0.downsample.norm.\1"),
        *renames(
            rf"{BASE}levels\.(\d)\.layers\.(\d+)\.",
            r"stages.\1.blocks.\2.",
            (*TRANSFORMERS_BLOCK, ("attention.self.rpb", "mixer.op.position_bias")),
        ),
        *TRANSFORMERS_HEAD,
    ),
    joints=TRANSFORMERS_JOINTS,
    zeros=_NO_BIAS,
)
RULES = KeyRules(
    (
        *_tokenizers(r"patch_embed\.proj", "levels"),
        (r"patch_embed\.norm\.(.+)", r"stages.0.downsample.norm.\1"),
        *blocks(
            r"levels\.(\d)\.blocks\.(\d+)\.",
            r"stages.\1.blocks.\2.",
            (*ATTENTION, ("attn.rpb", "mixer.op.position_bias")),
        ),
        *HEAD,
    ),
    zeros=_NO_BIAS,
    others=(_TRANSFORMERS,),
)
"""The names of the public code (not checked) and of transformers' DiNAT, which is NAT if nothing is dilated."""


def _nat(size: str, top1: str) -> Any:
    description = f"NAT-{size.capitalize()} ({top1} % top-1 published)."
    stages = nat_stages(size)
    return preset(f"nat_{size}", pyramid, description, RULES, norm=LAYER_NORM, first_conv=FIRST_CONV, **stages)


nat_mini = _nat("mini", "81.8")
nat_tiny = _nat("tiny", "83.2")
nat_small = _nat("small", "83.7")
nat_base = _nat("base", "84.3")

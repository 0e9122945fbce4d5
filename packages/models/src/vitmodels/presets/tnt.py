"""TNT on the NestedColumn skeleton, and LocalViT on it: a transformer on the pixel tokens inside each patch.

How the paper maps to the slots: ``pixels`` makes 4 x 4 pixel tokens of each 16 x 16 patch, ``inner`` is the transformer layer
on them, the three stages hold the outer layer: ``mixer`` is attention whose values have a projection of their own,
``feed_forward`` an MLP. Stochastic depth draws patches in the inner layer and images in the outer one. The epsilon of all norms
is 1e-5.

LocalViT replaces the outer feed-forward by the locality feed-forward (h-swish, an SE gate that keeps 4 channels), without a
norm in front and without stochastic depth. As in every LocalViT the last one leaves the class token unchanged and cannot affect
the logits.

Sources: Han et al., Transformer in Transformer, NeurIPS 2021, Table 1; Li et al., LocalViT: Bringing Locality to Vision
Transformers, 2021.
"""

from typing import Any

from torch import Tensor, nn

from vitmodels.presets.deit import every_stage
from vitmodels.presets.key_rules import HEAD, blocks, renames
from vitmodels.presets.localvit import locality_branch, squeeze_excite
from vitmodels.presets.swin import LAYER_NORM, MLP_BRANCH
from vitmodels.skeletons.checkpoint import KeyRules
from vitmodels.skeletons.nested_column import nested_column
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.timm_interface import preset


def in_our_order(name: str, value: Tensor, model: nn.Module) -> Tensor:
    """Return as a table (16, c) the positions inside a patch, which the public code keeps as a map (1, c, 4, 4).

    Raises:
        ValueError: The weights belong to timm's later TNT, which is another network.
    """
    if name == "inner.0.summary_norm.weight" and len(value) == 16 * len(model.get_parameter(name)):
        raise ValueError(
            "The checkpoint is of another network with TNT's names, such as timm's tnt_s_patch16_224, which cuts patches before "
            "its first convolution; timm's tnt_s_legacy_patch16_224 is the TNT of the paper."
        )
    return value[0].flatten(1).T.contiguous() if name == "pixels.position" else value


_INNER = (
    ("norm_in.", "mixer_norm."),
    ("attn_in.qk.", "mixer.qk."),
    ("attn_in.v.", "mixer.v."),
    ("attn_in.proj.", "mixer.projection."),
    ("norm_mlp_in.", "feed_forward_norm."),
    ("mlp_in.fc1.", "feed_forward.expand."),
    ("mlp_in.fc2.", "feed_forward.contract."),
    ("norm1_proj.", "summary_norm."),
    ("proj.", "summary."),
)
_OUTER = (
    ("norm_out.", "mixer.norm."),
    ("attn_out.proj.", "mixer.op.projection."),
    ("attn_out.", "mixer.op."),
    ("norm_mlp.", "feed_forward.norm."),
)
RULES = KeyRules(
    (
        (r"cls_token", r"prefix"),
        (r"patch_pos", r"position.table"),
        (r"pixel_pos", r"pixels.position"),
        (r"pixel_embed\.proj\.(.+)", r"pixels.projection.\1"),
        (r"norm1_proj\.(.+)", r"stem.norm.\1"),
        (r"proj\.(.+)", r"stem.projection.\1"),
        (r"norm2_proj\.(.+)", r"stem.projected_norm.\1"),
        *renames(r"blocks\.(\d+)\.", r"inner.\1.", _INNER),
        *blocks(r"(blocks\.\d+)\.", r"\1.", _OUTER),
        *HEAD,
    ),
    transform=in_our_order,
)
"""TNT and LocalViT on it."""


def _tnt(
    name: str,
    description: str,
    width: int,
    pixel_width: int,
    inner_heads: int,
    feed_forward: Any = MLP_BRANCH,
) -> Any:
    inner = {
        "mixer": part("vitcore.SeparateAttention", head_dim=pixel_width // inner_heads),
        "feed_forward": part("vitcore.Mlp", ratio=4.0),
        "norm": LAYER_NORM,
        "drop_path_scale": 1.0,
    }
    mixer = {"op": part("vitcore.SeparateAttention", head_dim=64), "norm": LAYER_NORM, "drop_path_scale": 1.0}
    return preset(
        name,
        nested_column,
        description,
        RULES,
        first_conv="pixels.projection",
        width=width,
        pixel_width=pixel_width,
        inner=inner,
        norm=LAYER_NORM,
        **every_stage(mixer=mixer, feed_forward=feed_forward),
    )


tnt_tiny = _tnt("tnt_tiny", "TNT-Ti: width 192, pixel tokens of width 12 (73.6 % top-1 published).", 192, 12, 3)
tnt_small = _tnt("tnt_small", "TNT-S: width 384, pixel tokens of width 24 (81.5 % top-1 published).", 384, 24, 4)
tnt_base = _tnt("tnt_base", "TNT-B: width 640, pixel tokens of width 40 (82.8 % top-1 published).", 640, 40, 4)
localvit_tnt_tiny = _tnt(
    "localvit_tnt_tiny",
    "LocalViT on TNT-Ti (75.9 % top-1 published).",
    192,
    12,
    3,
    locality_branch(channel_attention=squeeze_excite(192)),
)
localvit_tnt_small = _tnt(
    "localvit_tnt_small",
    "LocalViT on TNT-S, a size of the public code; no published figure.",
    384,
    24,
    4,
    locality_branch(channel_attention=squeeze_excite(384)),
)

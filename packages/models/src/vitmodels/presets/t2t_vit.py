"""T2T-ViT on the Column skeleton, and LocalViT on it: soft splits and token attention instead of one cut into patches.

How the paper maps to the slots: ``stem`` is the tokens-to-token module, ``position`` a fixed sinusoid over the raster index
with the class token first; the blocks are a vision transformer's, deep and narrow, whose queries, keys and values have no bias.
The plain names mix tokens in the stem by a performer, ``t2t_vit_t_...`` by attention; the stem's feed-forward has ratio 1. The
epsilon of all norms is 1e-5.

LocalViT replaces the feed-forwards of the blocks (h-swish, an SE gate that keeps 4 channels) and of the stem (h-swish alone) by
the locality feed-forward, without a norm in front. The public code keeps that norm in the performer's stem and does not use it;
the plain name drops it, ``localvit_t2t_compat`` has its parameters. As in every LocalViT the last feed-forward leaves the class
token unchanged and cannot affect the logits.

Sources: Yuan et al., Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet, ICCV 2021; Li et al.,
LocalViT: Bringing Locality to Vision Transformers, 2021.
"""

from typing import Any

from torch import Tensor, nn

from vitcore import SinusoidalPosition
from vitmodels.presets.deit import every_stage
from vitmodels.presets.key_rules import COLUMN, locality, renames
from vitmodels.presets.localvit import locality_branch, squeeze_excite
from vitmodels.presets.swin import LAYER_NORM
from vitmodels.skeletons.checkpoint import KeyRules
from vitmodels.skeletons.column import column
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.timm_interface import preset

PERFORMER, ATTENTION = "vitcore.PerformerAttention", "vitcore.TokenAttention"


_LAYER, _OUR_LAYER = r"tokens_to_token\.attention(?P<stage>\d)\.", "stem.layers.{stage}."
_TOKEN_LAYER = (
    ("norm1.", "norm."),
    ("w", "mixer.directions"),
    ("kqv.", "mixer.kqv."),
    ("proj.", "mixer.projection."),
    ("attn.qkv.", "mixer.qkv."),
    ("attn.proj.", "mixer.projection."),
    ("norm2.", "feed_forward_norm."),
    *((f"mlp.{old}.", f"feed_forward.{new}.") for old, new in (("0", "expand"), ("2", "contract"))),
    *((f"mlp.{old}.", f"feed_forward.{new}.") for old, new in (("fc1", "expand"), ("fc2", "contract"))),
)
RULES = KeyRules(
    (
        *renames(_LAYER, _OUR_LAYER, _TOKEN_LAYER),
        *locality(_LAYER, f"{_OUR_LAYER}feed_forward"),
        (r"tokens_to_token\.project\.(.+)", r"stem.projection.\1"),
        *COLUMN.renames,
    ),
    ("pos_embed",),
    first_stage=1,
)
"""T2T-ViT and LocalViT on it; the positions of the public code are a frozen sinusoid."""

LOCALVIT_RULES = KeyRules(RULES.renames, (*RULES.structural, "tokens_to_token.attention?.norm2.*"), first_stage=1)
"""As ``RULES``; the public code of LocalViT has norms in the stem that nothing uses."""


class RasterPosition(SinusoidalPosition):
    """Fixed positions for the slot of an absolute position: sines and cosines of the raster index, prefix tokens first.

    Args:
        width: Channels of the grid.
        grid_size: Rows and columns that the model is made for; other sizes get positions of their own, not interpolated ones.
        prefix_tokens: Tokens in front of the grid.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width); prefix (b, p, width) -> (b, p, width)

    Cost: no multiply-adds.

    Source: Yuan et al., Tokens-to-Token ViT, ICCV 2021, whose public code keeps the numbers as a frozen parameter.
    """

    def __init__(self, width: int, grid_size: tuple[int, int], prefix_tokens: int) -> None:
        super().__init__(width, form="raster")


class IdleLayerNorm(nn.LayerNorm):
    """The parameters of a layer norm in a module that returns its input; arguments as for ``torch.nn.LayerNorm``.

    The public code of LocalViT on T2T builds it in front of a feed-forward that has its own norm, and never uses it. No gradient
    reaches the parameters, while weight decay and checkpoints carry them along.

    Shapes:
        grid (b, h, w, width) -> the same tensor

    Source: the public code of Li et al., LocalViT: Bringing Locality to Vision Transformers, 2021.
    """

    def forward(self, grid: Tensor) -> Tensor:
        """Return the grid."""
        return grid


def t2t_stem(mixer: str, feed_forward: Any, feed_forward_norm: Any) -> dict[str, Any]:
    """Return the data of the stem with a performer or with attention."""
    return part(
        "vitmodels.TokensToToken",
        mixer=part(mixer),
        feed_forward=feed_forward,
        norm=LAYER_NORM,
        feed_forward_norm=feed_forward_norm,
    )


def _on_column(
    name: str,
    description: str,
    stem: dict[str, Any],
    width: int,
    depth: int,
    feed_forward: Any,
    rules: KeyRules = RULES,
    head_dim: int = 64,
) -> Any:
    attention = part("vitcore.GlobalAttention", head_dim=head_dim, bias="projection")
    mixer = {"op": attention, "norm": LAYER_NORM, "drop_path_scale": 1.0}
    return preset(
        name,
        column,
        description,
        rules,
        first_conv="",  # the stem has none
        width=width,
        depth=depth,
        stem=stem,
        position="vitmodels.RasterPosition",
        norm=LAYER_NORM,
        **every_stage(mixer=mixer, feed_forward=feed_forward),
    )


def _t2t(name: str, mixer: str, width: int, depth: int, ratio: float, result: str, head_dim: int = 64) -> Any:
    stem = t2t_stem(mixer, part("vitcore.Mlp", ratio=1.0), LAYER_NORM)
    mlp = {"op": part("vitcore.Mlp", ratio=ratio), "norm": LAYER_NORM, "drop_path_scale": 1.0}
    kind = "performer" if mixer == PERFORMER else "token attention"
    description = f"T2T-ViT-{depth} with {kind}: width {width} ({result})."
    return _on_column(name, description, stem, width, depth, mlp, head_dim=head_dim)


t2t_vit_7 = _t2t("t2t_vit_7", PERFORMER, 256, 7, 2.0, "71.7 % top-1 published")
t2t_vit_10 = _t2t("t2t_vit_10", PERFORMER, 256, 10, 2.0, "75.2 % top-1 published")
t2t_vit_12 = _t2t("t2t_vit_12", PERFORMER, 256, 12, 2.0, "76.5 % top-1 published")
t2t_vit_14 = _t2t("t2t_vit_14", PERFORMER, 384, 14, 3.0, "81.5 % top-1 published")
t2t_vit_19 = _t2t("t2t_vit_19", PERFORMER, 448, 19, 3.0, "81.9 % top-1 published")
t2t_vit_24 = _t2t("t2t_vit_24", PERFORMER, 512, 24, 3.0, "82.3 % top-1 published")
t2t_vit_14_resnext = _t2t("t2t_vit_14_resnext", PERFORMER, 384, 14, 3.0, "32 heads, of the public code", head_dim=12)
t2t_vit_14_wide = _t2t("t2t_vit_14_wide", PERFORMER, 768, 4, 3.0, "wide and shallow, of the public code")
t2t_vit_t_14 = _t2t("t2t_vit_t_14", ATTENTION, 384, 14, 3.0, "81.7 % top-1 published")
t2t_vit_t_19 = _t2t("t2t_vit_t_19", ATTENTION, 448, 19, 3.0, "82.4 % top-1 published")
t2t_vit_t_24 = _t2t("t2t_vit_t_24", ATTENTION, 512, 24, 3.0, "82.6 % top-1 published")


def _localvit(name: str, description: str, mixer: str, norm: Any = "torch.nn.Identity") -> Any:
    stem = t2t_stem(mixer, locality_branch(ratio=1.0)["op"], norm)
    branch = locality_branch(ratio=2.0, channel_attention=squeeze_excite(128))
    rules = LOCALVIT_RULES if norm == "torch.nn.Identity" else RULES
    return _on_column(name, description, stem, 256, 7, branch, rules)


localvit_t2t = _localvit(
    "localvit_t2t",
    "LocalViT on T2T-ViT-7 with performer (72.5 % top-1 published).",
    PERFORMER,
)
localvit_t2t_compat = _localvit(
    "localvit_t2t_compat",
    "LocalViT on T2T-ViT-7 with performer and the public code's norms that nothing uses.",
    PERFORMER,
    part("vitmodels.IdleLayerNorm", eps=1e-5),
)
localvit_t2t_t = _localvit(
    "localvit_t2t_t",
    "LocalViT on T2T-ViT-7 with token attention.",
    ATTENTION,
)

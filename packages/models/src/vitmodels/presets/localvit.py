"""LocalViT on the Column skeleton: DeiT with a depth-wise convolution in the feed-forward.

How the paper maps to the slots: ``mixer`` is DeiT's attention with fewer heads (4 and 8, 48 channels each);
``feed_forward`` is the locality feed-forward. The latter has its own BatchNorms, no norm in front and no stochastic depth,
and leaves the class token unchanged. The feed-forward of the last block therefore has no influence on the class token's logits;
it is kept, as in the public code. ``stage1`` to ``stage3`` choose the thirds of the layers that have locality (Table 3).

Source: Li et al., LocalViT: Bringing Locality to Vision Transformers, 2021, Tables 1-4.
"""

from typing import Any

from vitmodels.presets.deit import attention_branch, every_stage
from vitmodels.presets.key_rules import COLUMN
from vitmodels.skeletons.column import column
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.timm_interface import preset


def locality_branch(**arguments: Any) -> dict[str, Any]:
    """Return the data of the locality feed-forward branch."""
    op = part("vitcore.LocalityFeedForward", **({"ratio": 4.0, "activation": "torch.nn.Hardswish"} | arguments))
    return {"op": op, "norm": "torch.nn.Identity", "drop_path_scale": 0.0}


def squeeze_excite(reduction: int) -> dict[str, Any]:
    """Return the data of an SE gate; with 768 hidden channels, 192 keeps 4 units and 4 keeps 192."""
    return part("vitcore.SqueezeExcite", reduction=reduction)


def _tiny(name: str, description: str, **feed_forward: Any) -> Any:
    parts = every_stage(mixer=attention_branch(48), feed_forward=locality_branch(**feed_forward))
    return preset(name, column, description, COLUMN, width=192, **parts)


localvit_tiny = _tiny(
    "localvit_tiny",
    "LocalViT-T: h-swish and SE that keeps 4 channels (SE-192; 74.8 % top-1 published).",
    channel_attention=squeeze_excite(192),
)
localvit_tiny_se4 = _tiny(
    "localvit_tiny_se4",
    "LocalViT-T with h-swish and SE by 4 (75.7 % top-1 published).",
    channel_attention=squeeze_excite(4),
)
localvit_tiny_se48 = _tiny(
    "localvit_tiny_se48",
    "LocalViT-T with h-swish and SE by 48 (Table 2).",
    channel_attention=squeeze_excite(48),
)
localvit_tiny_se96 = _tiny(
    "localvit_tiny_se96",
    "LocalViT-T with h-swish and SE by 96 (Table 2).",
    channel_attention=squeeze_excite(96),
)
localvit_tiny_eca = _tiny(
    "localvit_tiny_eca",
    "LocalViT-T with h-swish and ECA (Table 2).",
    channel_attention="vitcore.EfficientChannel",
)
localvit_tiny_eca_hard = _tiny(
    "localvit_tiny_eca_hard",
    "LocalViT-T with h-swish and ECA gated by a hard sigmoid (an option of the public code).",
    channel_attention=part("vitcore.EfficientChannel", gate="torch.nn.Hardsigmoid"),
)
localvit_tiny_h_swish = _tiny("localvit_tiny_h_swish", "LocalViT-T with h-swish, no channel attention (Table 2).")
localvit_tiny_relu6 = _tiny(
    "localvit_tiny_relu6",
    "LocalViT-T with ReLU6, no channel attention (Table 1).",
    activation="torch.nn.ReLU6",
)
localvit_tiny_ratio6_relu6 = _tiny(
    "localvit_tiny_ratio6_relu6",
    "LocalViT-T with expansion 6 and ReLU6 (Table 1).",
    ratio=6.0,
    activation="torch.nn.ReLU6",
)
localvit_small = preset(
    "localvit_small",
    column,
    "LocalViT-S: width 384, 8 heads, h-swish and SE that keeps 4 channels (SE-384; 80.8 % top-1 published).",
    COLUMN,
    width=384,
    **every_stage(
        mixer=attention_branch(48),
        feed_forward=locality_branch(channel_attention=squeeze_excite(384)),
    ),
)

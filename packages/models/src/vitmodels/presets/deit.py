"""DeiT on the Column skeleton: the plain vision transformer, the host and the baseline of LocalViT.

How the paper maps to the slots: ``mixer`` is global attention and ``feed_forward`` the MLP, both with LayerNorm (eps 1e-6)
in front and the block's stochastic depth; the three stages are equal. Distilled DeiT is the same on the DistilledColumn skeleton.

Source: Touvron et al., Training data-efficient image transformers & distillation through attention, ICML 2021, Table 1, and
section 4 for the distilled models.
"""

from typing import Any

from vitmodels.presets.key_rules import COLUMN
from vitmodels.skeletons.column import LAYER_NORM, column
from vitmodels.skeletons.distilled_column import distilled_column
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.timm_interface import preset

MLP_BRANCH = {"op": part("vitcore.Mlp", ratio=4.0), "norm": LAYER_NORM, "drop_path_scale": 1.0}
"""The feed-forward branch of a plain vision transformer."""


def attention_branch(head_dim: int) -> dict[str, Any]:
    """Return the data of the attention branch."""
    return {"op": part("vitcore.GlobalAttention", head_dim=head_dim), "norm": LAYER_NORM, "drop_path_scale": 1.0}


def every_stage(**slots: Any) -> dict[str, Any]:
    """Return the same block for all three stages of a Column."""
    return {"stage1": slots, "stage2": slots, "stage3": slots}


_PARTS = every_stage(mixer=attention_branch(64), feed_forward=MLP_BRANCH)

deit_tiny = preset("deit_tiny", column, "DeiT-Tiny: width 192, 3 heads.", COLUMN, width=192, **_PARTS)
deit_tiny_ratio6 = preset(
    "deit_tiny_ratio6",
    column,
    "DeiT-Tiny with expansion 6, LocalViT's baseline at that size (73.1 % top-1 in LocalViT's Table 1, not checked).",
    COLUMN,
    width=192,
    **every_stage(mixer=attention_branch(64), feed_forward=MLP_BRANCH | {"op": part("vitcore.Mlp", ratio=6.0)}),
)
deit_small = preset("deit_small", column, "DeiT-Small: width 384, 6 heads.", COLUMN, width=384, **_PARTS)
deit_base = preset("deit_base", column, "DeiT-Base: width 768, 12 heads.", COLUMN, width=768, **_PARTS)


def _distilled(size: str, width: int, top1: str) -> Any:
    description = f"Distilled DeiT-{size.capitalize()}: width {width}, {width // 64} heads ({top1} % top-1 published)."
    name = f"deit_{size}_distilled"
    heads = ("head", "distillation_head")
    return preset(name, distilled_column, description, COLUMN, classifier=heads, width=width, **_PARTS)


deit_tiny_distilled = _distilled("tiny", 192, "74.5")
deit_small_distilled = _distilled("small", 384, "81.2")
deit_base_distilled = _distilled("base", 768, "83.3")

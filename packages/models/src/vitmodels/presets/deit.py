"""DeiT on the Column skeleton: the plain vision transformer, the host and the baseline of LocalViT.

How the paper maps to the slots: ``mixer`` is global attention and ``feed_forward`` the MLP, both with LayerNorm (eps 1e-6)
in front and the block's stochastic depth; the three stages are equal. Distilled DeiT is the same on the DistilledColumn skeleton.

Source: Touvron et al., Training data-efficient image transformers & distillation through attention, ICML 2021, Table 1, and
section 4 for the distilled models.
"""

from typing import Any

from vitmodels.skeletons.checkpoint import KeyRules
from vitmodels.skeletons.column import LAYER_NORM, column
from vitmodels.skeletons.distilled_column import distilled_column
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.timm_interface import preset

MLP_BRANCH = {"op": part("vitcore.Mlp", ratio=4.0), "norm": LAYER_NORM, "drop_path_scale": 1.0}
"""The feed-forward branch of a plain vision transformer."""

STEM_AND_HEAD = (
    (r"cls_token", r"prefix"),
    (r"pos_embed", r"position.table"),
    (r"patch_embed\.proj\.(.+)", r"stem.projection.\1"),
    (r"(blocks\.\d+)\.norm1\.(.+)", r"\1.mixer.norm.\2"),
    (r"(blocks\.\d+)\.attn\.qkv\.(.+)", r"\1.mixer.op.qkv.\2"),
    (r"(blocks\.\d+)\.attn\.proj\.(.+)", r"\1.mixer.op.projection.\2"),
    (r"(norm\..+)", r"\1"),
    (r"(head\..+)", r"\1"),
)
"""Names that DeiT and LocalViT share."""

RULES = KeyRules(
    (
        *STEM_AND_HEAD,
        (r"(blocks\.\d+)\.norm2\.(.+)", r"\1.feed_forward.norm.\2"),
        (r"(blocks\.\d+)\.mlp\.fc1\.(.+)", r"\1.feed_forward.op.expand.\2"),
        (r"(blocks\.\d+)\.mlp\.fc2\.(.+)", r"\1.feed_forward.op.contract.\2"),
    )
)
DISTILLED_RULES = KeyRules(
    (*RULES.renames, (r"dist_token", r"distillation_prefix"), (r"head_dist\.(.+)", r"distillation_head.\1"))
)


def attention_branch(head_dim: int) -> dict[str, Any]:
    """Return the data of the attention branch."""
    return {"op": part("vitcore.GlobalAttention", head_dim=head_dim), "norm": LAYER_NORM, "drop_path_scale": 1.0}


def every_stage(**slots: Any) -> dict[str, Any]:
    """Return the same block for all three stages of a Column."""
    return {"stage1": slots, "stage2": slots, "stage3": slots}


_PARTS = every_stage(mixer=attention_branch(64), feed_forward=MLP_BRANCH)

deit_tiny = preset("deit_tiny", column, "DeiT-Tiny: width 192, 3 heads.", RULES, width=192, **_PARTS)
deit_small = preset("deit_small", column, "DeiT-Small: width 384, 6 heads.", RULES, width=384, **_PARTS)
deit_base = preset("deit_base", column, "DeiT-Base: width 768, 12 heads.", RULES, width=768, **_PARTS)


def _distilled(size: str, width: int, top1: str) -> Any:
    description = f"Distilled DeiT-{size.capitalize()}: width {width}, {width // 64} heads ({top1} % top-1 published)."
    name = f"deit_{size}_distilled"
    heads = ("head", "distillation_head")
    return preset(name, distilled_column, description, DISTILLED_RULES, classifier=heads, width=width, **_PARTS)


deit_tiny_distilled = _distilled("tiny", 192, "74.5")
deit_small_distilled = _distilled("small", 384, "81.2")
deit_base_distilled = _distilled("base", 768, "83.3")

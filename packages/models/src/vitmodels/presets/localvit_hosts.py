"""LocalViT on PVT and Swin: the hosts' feed-forwards replaced by the locality feed-forward.

How the paper maps to the slots: everything is the host's but ``feed_forward``, in all four stages: h-swish and an SE gate
that keeps as many hidden channels as the ratio (PVT: reduction by the width) or 16 (Swin: by a quarter of the width). It
has no norm in front and no stochastic depth. On PVT it leaves the class token of the last stage unchanged, so that the
last feed-forward has no influence on the logits; it is kept, as in the public code.

Source: Li et al., LocalViT: Bringing Locality to Vision Transformers, 2021, Table 4.
"""

from typing import Any

from vitmodels.presets import key_rules, pvt, swin
from vitmodels.presets.localvit import locality_branch, squeeze_excite
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset


def _with_locality(stages: dict[str, Any], ratios: tuple[float, ...], kept: int) -> dict[str, Any]:
    """Return the stages with the locality feed-forward; the SE gate divides by a ``kept``-th of the width."""
    return {
        name: stage
        | {"feed_forward": locality_branch(ratio=ratio, channel_attention=squeeze_excite(stage["width"] // kept))}
        for (name, stage), ratio in zip(stages.items(), ratios, strict=True)
    }


localvit_pvt_tiny = preset(
    "localvit_pvt_tiny",
    pyramid,
    "LocalViT on PVT-Tiny (78.2 % top-1 published).",
    key_rules.PVT,
    global_pool="token",
    **_with_locality(pvt.pvt_stages((2, 2, 2, 2)), pvt.RATIOS, kept=1),
)
localvit_swin_tiny = preset(
    "localvit_swin_tiny",
    pyramid,
    "LocalViT on Swin-T (81.9 % top-1 published).",
    key_rules.SWIN,
    norm=swin.LAYER_NORM,
    **_with_locality(swin.swin_stages(96, swin.TINY), (4.0, 4.0, 4.0, 4.0), kept=4),
)

"""DAT on the Pyramid skeleton: window attention, and in the last two stages deformable attention in every second block.

How the paper maps to the slots: everything is Swin's, but ``alternate`` holds deformable attention in stages 3 and 4,
with 3 and 6 groups (4 and 8 in base), offsets of at most two half spacings, and bias tables for the maps of 224 px.

Source: Xia et al., Vision Transformer with Deformable Attention, CVPR 2022, Table 1. The numbers of groups are
those of the public code; they were quoted without it at hand and are not checked.
"""

from typing import Any

from vitmodels.presets.swin import DEEP, LAYER_NORM, TINY, swin_stages
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset


def dat_stages(width: int, depths: tuple[int, ...], groups: tuple[int, int]) -> dict[str, Any]:
    """Return the four stages; ``groups`` are those of stages 3 and 4."""
    stages = swin_stages(width, depths)
    for name, count, side in (("stage3", groups[0], 14), ("stage4", groups[1], 7)):
        op = part(
            "vitcore.DeformableAttention",
            head_dim=32,
            groups=count,
            reduction=1,
            kernel_size=5,
            offset_range=2.0,
            grid_size=[side, side],
        )
        stages[name]["alternate"] = {"mixer": {"op": op, "norm": LAYER_NORM, "drop_path_scale": 1.0}}
    return stages


def _dat(size: str, width: int, depths: tuple[int, ...], groups: tuple[int, int], top1: str) -> Any:
    description = f"DAT-{size[0].upper()} ({top1} % top-1 published)."
    return preset(f"dat_{size}", pyramid, description, norm=LAYER_NORM, **dat_stages(width, depths, groups))


dat_tiny = _dat("tiny", 96, TINY, (3, 6), "82.0")
dat_small = _dat("small", 96, DEEP, (3, 6), "83.7")
dat_base = _dat("base", 128, DEEP, (4, 8), "84.0")

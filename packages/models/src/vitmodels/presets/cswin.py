"""CSWin on the Pyramid skeleton: cross-shaped windows whose stripes widen from stage to stage.

How the paper maps to the slots: ``mixer`` is cross-shaped window attention with stripes of 1, 2, 7 and, in the last stage, the
whole map in one branch; ``feed_forward`` an MLP; ``downsample`` overlaps (7 x 7 with stride 4 and padding 2, then 3 x 3 with
stride 2). The head reads the average of the normalised map. The epsilon of all norms is 1e-5.

At 384 px the stripes are 1, 2, 12 and the map.

Source: Dong et al., CSWin Transformer: A General Vision Transformer Backbone with Cross-Shaped Windows, CVPR 2022.
"""

from typing import Any

from vitmodels.presets.key_rules import CSWIN
from vitmodels.presets.swin import LAYER_NORM, MLP_BRANCH
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset

SIZES = {
    "tiny": (64, (1, 2, 21, 1), (2, 4, 8, 16)),
    "small": (64, (2, 4, 32, 2), (2, 4, 8, 16)),
    "base": (96, (2, 4, 32, 2), (4, 8, 16, 32)),
    "large": (144, (2, 4, 32, 2), (6, 12, 24, 24)),
}
"""Width of the first stage, depths, heads."""


def stripe_branch(head_dim: int, stripe: int | str) -> dict[str, Any]:
    """Return the data of the attention branch."""
    op = part("vitcore.CrossWindowAttention", head_dim=head_dim, stripe=stripe)
    return {"op": op, "norm": LAYER_NORM, "drop_path_scale": 1.0}


def overlapping(stage: int) -> dict[str, Any]:
    """Return the data of the part that makes the grid of stage 1, 2, 3 or 4."""
    if stage == 1:
        return part("vitcore.OverlapPatchEmbedding", kernel_size=7, stride=4, padding=2, norm=LAYER_NORM)
    return part("vitcore.OverlapPatchMerging", kernel_size=3, stride=2, padding=1, norm=LAYER_NORM)


def cswin_stages(size: str, stripes: tuple[int | str, ...] = (1, 2, 7, "map")) -> dict[str, Any]:
    """Return the four stages of ``tiny``, ``small``, ``base`` or ``large``."""
    first_width, depths, heads = SIZES[size]
    stages = {}
    for i, (depth, count, stripe) in enumerate(zip(depths, heads, stripes, strict=True), 1):
        width = first_width * 2 ** (i - 1)
        stages[f"stage{i}"] = {
            "mixer": stripe_branch(width // count, stripe),
            "feed_forward": MLP_BRANCH,
            "width": width,
            "depth": depth,
            "downsample": overlapping(i),
        }
    return stages


def _cswin(name: str, description: str, size: str, img_size: int = 224) -> Any:
    stages = cswin_stages(size, (1, 2, img_size // 32, "map"))
    return preset(name, pyramid, description, CSWIN, img_size=img_size, norm=LAYER_NORM, **stages)


cswin_tiny = _cswin("cswin_tiny", "CSWin-T (82.7 % top-1 published).", "tiny")
cswin_small = _cswin("cswin_small", "CSWin-S (83.6 % top-1 published).", "small")
cswin_base = _cswin("cswin_base", "CSWin-B (84.2 % top-1 published).", "base")
cswin_large = _cswin("cswin_large", "CSWin-L (86.5 % top-1 published, ImageNet-22k first).", "large")
cswin_tiny_384 = _cswin("cswin_tiny_384", "CSWin-T for 384 px; no published figure.", "tiny", 384)
cswin_small_384 = _cswin("cswin_small_384", "CSWin-S for 384 px; no published figure.", "small", 384)
cswin_base_384 = _cswin("cswin_base_384", "CSWin-B for 384 px (85.4 % top-1 published).", "base", 384)
cswin_large_384 = _cswin(
    "cswin_large_384", "CSWin-L for 384 px (87.5 % top-1 published, ImageNet-22k first).", "large", 384
)

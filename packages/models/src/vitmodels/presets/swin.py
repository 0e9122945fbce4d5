"""Swin on the Pyramid skeleton: window attention, shifted by half a window in every second block.

How the paper maps to the slots: ``mixer`` is window attention with a relative position bias, ``alternate`` the same with a shift,
``feed_forward`` an MLP, ``downsample`` 4 x 4 patches and then patch merging. Where a map is not larger than a window, as in the
last stage at 224 px, nothing is shifted: the size of the incoming map decides, not the size that the model is built for. The
epsilon of all norms is 1e-5.

Source: Liu et al., Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, ICCV 2021.
"""

from typing import Any

from vitmodels.presets.key_rules import SWIN
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset

LAYER_NORM: Any = part("torch.nn.LayerNorm", eps=1e-5)
MLP_BRANCH: Any = {"op": part("vitcore.Mlp", ratio=4.0), "norm": LAYER_NORM, "drop_path_scale": 1.0}


def window_branch(window: int = 7, shift: int = 0) -> dict[str, Any]:
    """Return the data of the attention branch."""
    op = part("vitcore.WindowAttention", window=window, shift=shift, head_dim=32)
    return {"op": op, "norm": LAYER_NORM, "drop_path_scale": 1.0}


def merging(stage: int) -> dict[str, Any]:
    """Return the data of the part that makes the grid of stage 1, 2, 3 or 4."""
    if stage == 1:
        return part("vitcore.OverlapPatchEmbedding", kernel_size=4, stride=4, padding=0, norm=LAYER_NORM)
    return part("vitcore.PatchMerging", norm=LAYER_NORM)


def swin_stages(width: int, depths: tuple[int, ...], window: int = 7, feed_forward: Any = MLP_BRANCH) -> dict[str, Any]:
    """Return the four stages."""
    return {
        f"stage{i}": {
            "mixer": window_branch(window),
            "feed_forward": feed_forward,
            "width": width * 2 ** (i - 1),
            "depth": depth,
            "downsample": merging(i),
            "alternate": {"mixer": window_branch(window, window // 2)},
        }
        for i, depth in enumerate(depths, 1)
    }


TINY, DEEP = (2, 2, 6, 2), (2, 2, 18, 2)


def _swin(name: str, description: str, width: int, depths: tuple[int, ...], img_size: int = 224) -> Any:
    stages = swin_stages(width, depths, window=img_size // 32)
    return preset(name, pyramid, description, SWIN, img_size=img_size, norm=LAYER_NORM, **stages)


swin_tiny = _swin("swin_tiny", "Swin-T, windows of 7 x 7 (81.3 % top-1 published).", 96, TINY)
swin_small = _swin("swin_small", "Swin-S, windows of 7 x 7 (83.0 % top-1 published).", 96, DEEP)
swin_base = _swin("swin_base", "Swin-B, windows of 7 x 7 (83.5 % top-1 published).", 128, DEEP)
swin_large = _swin("swin_large", "Swin-L, windows of 7 x 7 (86.3 % top-1 published, ImageNet-22k first).", 192, DEEP)
swin_base_384 = _swin(
    "swin_base_384", "Swin-B for 384 px, windows of 12 x 12 (84.5 % top-1 published).", 128, DEEP, 384
)
swin_large_384 = _swin(
    "swin_large_384",
    "Swin-L for 384 px, windows of 12 x 12 (87.3 % top-1 published, ImageNet-22k first).",
    192,
    DEEP,
    384,
)
swin_tiny_384 = _swin("swin_tiny_384", "Swin-T for 384 px, windows of 12 x 12; no published figure.", 96, TINY, 384)
swin_small_384 = _swin("swin_small_384", "Swin-S for 384 px, windows of 12 x 12; no published figure.", 96, DEEP, 384)

"""Slide-Transformer on PVT, PVTv2, Swin, CSWin and NAT: slide attention in the hosts' first two stages.

How the paper maps to the slots: everything is the host's but the ``mixer`` of stages 1 and 2, which is slide attention with a
neighbourhood of 3 x 3, fixed and learned shifts; nothing alternates there. Only Slide-Swin is public; which stages slide on PVT
and PVTv2 follows from the published parameters.

The public configurations of Slide-Swin set a window of 56, which makes stages 3 and 4 attend globally; the published MACs
are those of windows of 7 x 7, shifted in every second block, which is what the plain names have.
``slide_swin_tiny_compat`` ... have the public code's global attention.

Source: Pan et al., Slide-Transformer: Hierarchical Vision Transformer with Local Self-Attention, CVPR 2023.
"""

from typing import Any

from vitmodels.presets import cswin, nat, pvt, pvtv2, swin
from vitmodels.presets.key_rules import SWIN
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset


def slide_branch(branch: dict[str, Any], head_dim: int) -> dict[str, Any]:
    """Return the data of an attention branch with slide attention in place of the host's."""
    op = part(
        "vitcore.SlideAttention", head_dim=head_dim, kernel_size=3, shift="both", position="on_keys", borders="zero"
    )
    return branch | {"op": op}


def slide_stages(stages: dict[str, Any]) -> dict[str, Any]:
    """Return the host's stages with slide attention in the first two."""
    changed = {}
    for name in ("stage1", "stage2"):
        stage = {key: value for key, value in stages[name].items() if key != "alternate"}
        head_dim = stage["mixer"]["op"]["init_args"]["head_dim"]
        changed[name] = stage | {"mixer": slide_branch(stage["mixer"], head_dim)}
    return stages | changed


def _slide(name: str, description: str, stages: dict[str, Any], rules: Any = None, **defaults: Any) -> Any:
    return preset(name, pyramid, description, rules, **defaults, **slide_stages(stages))


def _on_pvt(name: str, description: str, *depths: int) -> Any:
    return _slide(name, description, pvt.pvt_stages(depths), global_pool="token")  # type: ignore[arg-type]


slide_pvt_tiny = _on_pvt("slide_pvt_tiny", "Slide-PVT-Tiny (78.0 % top-1 published).", 2, 2, 2, 2)
slide_pvt_small = _on_pvt("slide_pvt_small", "Slide-PVT-Small (81.7 % top-1 published).", 3, 4, 6, 3)
slide_pvt_medium = _on_pvt("slide_pvt_medium", "Slide-PVT-Medium (82.9 % top-1, read off a figure).", 3, 4, 18, 3)


def _on_pvtv2(size: str, top1: str) -> Any:
    return _slide(
        f"slide_pvtv2_{size}",
        f"Slide-PVTv2-{size.upper()} ({top1}).",
        pvtv2.pvtv2_stages(pvtv2.WIDTHS, pvtv2.DEPTHS[size], pvtv2.RATIOS),
        norm="torch.nn.Identity",
        initial_weights="vitmodels.fan_out_weights",
    )


slide_pvtv2_b1 = _on_pvtv2("b1", "79.5 % top-1 published")
slide_pvtv2_b2 = _on_pvtv2("b2", "82.7 % top-1 published")
slide_pvtv2_b3 = _on_pvtv2("b3", "83.8 % top-1, read off a figure")
slide_pvtv2_b4 = _on_pvtv2("b4", "84.1 % top-1, read off a figure")


def _on_swin(size: str, width: int, depths: tuple[int, ...], top1: str) -> Any:
    description = f"Slide-Swin-{size[0].upper()}, windows of 7 x 7 in stages 3 and 4 ({top1} % top-1 published)."
    stages = swin.swin_stages(width, depths)
    return _slide(f"slide_swin_{size}", description, stages, SWIN, norm=swin.LAYER_NORM)


def _on_swin_compat(size: str, width: int, depths: tuple[int, ...]) -> Any:
    stages = swin.swin_stages(width, depths)
    for name, window in (("stage3", 14), ("stage4", 7)):
        kept = {key: value for key, value in stages[name].items() if key != "alternate"}
        stages[name] = kept | {"mixer": swin.window_branch(window)}
    description = (
        f"Slide-Swin-{size[0].upper()} as the public code runs it at 224 px: global attention in stages 3 and 4."
    )
    return _slide(f"slide_swin_{size}_compat", description, stages, SWIN, norm=swin.LAYER_NORM)


slide_swin_tiny = _on_swin("tiny", 96, swin.TINY, "82.3")
slide_swin_small = _on_swin("small", 96, swin.DEEP, "83.7")
slide_swin_base = _on_swin("base", 128, swin.DEEP, "84.2")
slide_swin_tiny_compat = _on_swin_compat("tiny", 96, swin.TINY)
slide_swin_small_compat = _on_swin_compat("small", 96, swin.DEEP)
slide_swin_base_compat = _on_swin_compat("base", 128, swin.DEEP)


def _on_cswin(size: str, top1: str) -> Any:
    description = f"Slide-CSWin-{size[0].upper()} ({top1})."
    return _slide(f"slide_cswin_{size}", description, cswin.cswin_stages(size), norm=swin.LAYER_NORM)


slide_cswin_tiny = _on_cswin("tiny", "83.2 % top-1, read off a figure")
slide_cswin_small = _on_cswin("small", "84.0 % top-1 published")
slide_cswin_base = _on_cswin("base", "84.7 % top-1 published")


def _on_nat(size: str, top1: str) -> Any:
    return _slide(
        f"slide_nat_{size}",
        f"Slide-NAT-{size.capitalize()} ({top1}).",
        nat.nat_stages(size),
        norm=swin.LAYER_NORM,
        first_conv=nat.FIRST_CONV,
    )


slide_nat_mini = _on_nat("mini", "82.4 % top-1, read off a figure")
slide_nat_tiny = _on_nat("tiny", "83.6 % top-1 published")
slide_nat_small = _on_nat("small", "84.3 % top-1 published")

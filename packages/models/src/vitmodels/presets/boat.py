"""BOAT on Swin and CSWin: attention among similar tokens, in addition to the hosts' attention among nearby tokens.

How the paper maps to the slots: everything is the host's, and some blocks hold a second mixer in ``content_mixer``, between
attention and feed-forward: cluster attention with clusters of at most 49 tokens and an overlap of 20. On Swin these are the
second blocks of stages 1 to 3, those that shift, without stochastic depth on the branch; on CSWin the first, third, ... blocks
of all stages.

The public code is not the authors'. On CSWin it does not scale the scores of cluster attention, and in the last stage,
where there is one cluster, it lets neighbouring images of the batch overlap. The plain names scale and keep images apart,
with the same parameters; ``boat_cswin_tiny_compat`` ... compute what that code computes for an even batch.

Source: Yu et al., BOAT: Bilateral Local Attention Vision Transformer, BMVC 2022.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vitcore import ClusterAttention
from vitcore.attention.content.cluster_attention import attend_clusters
from vitcore.attention.heads import merge_heads, split_qkv
from vitcore.convolution import on_map
from vitmodels.presets import cswin, key_rules, swin
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset

NOTHING: Any = {"op": "vitcore.Nothing", "norm": "torch.nn.Identity", "drop_path_scale": 1.0}


class PairedImageAttention(ClusterAttention):
    """Cluster attention that lets the two images of a pair overlap where a map forms a single cluster.

    This is a defect of the public code, kept for those who want its numbers: an image's output depends on the image next to it.

    The first image of a pair also attends to the first ``overlap`` tokens of the second, the second one to the last of
    the first, in raster order. Maps of more than ``cluster_size`` tokens, and the last image of an odd batch, are
    treated as by ``ClusterAttention``, which also documents arguments, shapes and errors.

    Source: the public code of BOAT-CSWin, which fails on a single image and mixes channels in other odd batches.
    """

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend within each pair of images."""
        b, h, w, _ = grid.shape
        pairs, t = b // 2, h * w
        if t > self.cluster_size or pairs == 0:
            return super().forward(grid)
        qkv = self.qkv(grid[: 2 * pairs])
        parts = split_qkv(qkv.view(pairs, 2 * t, -1), self.head_dim)
        clusters = torch.arange(2 * t, device=grid.device).view(1, 1, 2, t).expand(*parts[0].shape[:2], -1, -1)
        heads = attend_clusters(*parts, clusters, self.overlap, "keys", self.scale)
        mixed = merge_heads(heads).view(2 * pairs, h, w, -1) + on_map(self.position, qkv[..., 2 * self.width :])
        paired = self.projection(mixed)
        return torch.cat((paired, super().forward(grid[2 * pairs :]))) if b % 2 else paired


def cluster_branch(
    head_dim: int, drop_path_scale: float, op: str = "vitcore.ClusterAttention", **more: Any
) -> dict[str, Any]:
    """Return the data of the branch of cluster attention."""
    cluster = part(op, head_dim=head_dim, cluster_size=49, overlap=20, **more)
    return {"op": cluster, "norm": swin.LAYER_NORM, "drop_path_scale": drop_path_scale}


def _on_swin(size: str, width: int, depths: tuple[int, ...], top1: str) -> Any:
    stages = swin.swin_stages(width, depths)
    for name in ("stage1", "stage2", "stage3"):
        stages[name]["alternate"]["content_mixer"] = cluster_branch(32, drop_path_scale=0.0)
    description = f"BOAT-Swin-{size[0].upper()} ({top1} % top-1 published, not checked)."
    return preset(f"boat_swin_{size}", pyramid, description, key_rules.SWIN, norm=swin.LAYER_NORM, **stages)


boat_swin_tiny = _on_swin("tiny", 96, swin.TINY, "82.3")
boat_swin_small = _on_swin("small", 96, swin.DEEP, "83.6")
boat_swin_base = _on_swin("base", 128, swin.DEEP, "83.8")


def boat_cswin_stages(size: str) -> dict[str, Any]:
    """Return CSWin's four stages with cluster attention in the first, third, ... block of each."""
    stages = cswin.cswin_stages(size)
    for stage in stages.values():
        head_dim = stage["mixer"]["op"]["init_args"]["head_dim"]
        stage |= {
            "content_mixer": cluster_branch(head_dim, drop_path_scale=1.0),
            "alternate": {"content_mixer": NOTHING},
        }
    return stages


def _on_cswin(size: str, result: str) -> Any:
    description = f"BOAT-CSWin-{size[0].upper()} ({result})."
    return preset(
        f"boat_cswin_{size}", pyramid, description, key_rules.CSWIN, norm=swin.LAYER_NORM, **boat_cswin_stages(size)
    )


def _on_cswin_compat(size: str) -> Any:
    stages = boat_cswin_stages(size)
    for name, stage in stages.items():
        head_dim = stage["mixer"]["op"]["init_args"]["head_dim"]
        op = "vitmodels.PairedImageAttention" if name == "stage4" else "vitcore.ClusterAttention"
        stage["content_mixer"] = cluster_branch(head_dim, drop_path_scale=1.0, op=op, scale=1.0)
    description = f"BOAT-CSWin-{size[0].upper()} as the public code computes it: unscaled, images of a batch overlap."
    return preset(f"boat_cswin_{size}_compat", pyramid, description, key_rules.CSWIN, norm=swin.LAYER_NORM, **stages)


boat_cswin_tiny = _on_cswin("tiny", "83.7 % top-1 published, not checked")
boat_cswin_small = _on_cswin("small", "84.1 % top-1 published, not checked")
boat_cswin_base = _on_cswin("base", "84.7 % top-1 published, not checked")
boat_cswin_large = _on_cswin("large", "a size of the public code, no published figure")
boat_cswin_tiny_compat = _on_cswin_compat("tiny")
boat_cswin_small_compat = _on_cswin_compat("small")
boat_cswin_base_compat = _on_cswin_compat("base")
boat_cswin_large_compat = _on_cswin_compat("large")

"""What the public code of BOAT-CSWin does where there is one cluster: neighbouring images of the batch overlap.

A defect, kept apart from vitcore for those who want that code's numbers: an image's output depends on the image next to it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vitcore import ClusterAttention
from vitcore.attention.content.cluster_attention import attend_clusters
from vitcore.attention.heads import merge_heads, split_qkv


class PairedImageAttention(ClusterAttention):
    """Cluster attention that lets the two images of a pair overlap where a map forms a single cluster.

    The first image of a pair also attends to the first ``overlap`` tokens of the second, the second one to the last of
    the first, in raster order. Maps of more than ``cluster_size`` tokens, and an image that is left over, are treated as
    by ``ClusterAttention``. Arguments, shapes and errors as there.

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
        mixed = merge_heads(heads).view(2 * pairs, h, w, -1) + self.position(qkv[..., 2 * self.width :])
        paired = self.projection(mixed)
        return torch.cat((paired, super().forward(grid[2 * pairs :]))) if b % 2 else paired

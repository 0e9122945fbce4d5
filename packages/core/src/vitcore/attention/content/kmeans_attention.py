"""Attention within clusters of unequal size: the form that balanced clusters are compared with."""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitcore.attention.content.clusters import kmeans_clusters
from vitcore.attention.heads import count_heads, merge_heads, split_qkv
from vitcore.convolution import depthwise_convolution, on_map
from vitcore.op import FeatureOp


def attend_labels(
    q: Float[Tensor, "b n t d"],
    k: Float[Tensor, "b n t d"],
    v: Float[Tensor, "b n t d"],
    labels: Int[Tensor, "b n t"],
    scale: float | None = None,
) -> Float[Tensor, "b n t d"]:
    """Attend to the tokens of the same label; ``scale`` multiplies the scores; None means d ** -0.5.

    All t**2 pairs are computed and masked: sizes that depend on the data would break compiled and exported graphs.
    """
    mask = labels.unsqueeze(3) == labels.unsqueeze(2)
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


class KMeansAttention(FeatureOp):
    """Each token attends, in each head, to its cluster of plain k-means, however large that is.

    It is the control for ``ClusterAttention``: projections, similarity and LePE are the same, clusters are neither balanced nor
    overlapping. A mask on the full attention matrix keeps clusters apart, so that this costs what global attention costs and
    stores (h * w)**2 truth values per head: it is meant for ablations on small maps. With h * w <= cluster_size there is one
    cluster: global attention with LePE.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Each head has clusters of its own.
        cluster_size: Tokens in a cluster on average: there are h * w / cluster_size clusters, rounded up.
        iterations: Rounds of k-means, see ``kmeans_clusters``.
        scale: Factor on the scores: ``head_dim**-0.5`` or a number.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: with t = h * w and g clusters: t * 4 * width**2 + 2 * t**2 * width + 9 * t * width multiply-adds, and
    2 * (iterations + 1) * g * t * width for the clustering, nothing for g = 1.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, ``cluster_size`` is below 1, or ``iterations`` is negative.

    Source: the K-means arm of the ablations of Yu et al., BOAT: Bilateral Local Attention Vision Transformer, BMVC 2022,
    which gives no details: initial centres, number of rounds and similarity are chosen here.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 32,
        cluster_size: int = 49,
        iterations: int = 10,
        scale: float | Literal["head_dim**-0.5"] = "head_dim**-0.5",
    ) -> None:
        super().__init__()
        count_heads("KMeansAttention", width, head_dim)
        if cluster_size < 1 or iterations < 0:
            raise ValueError(
                "KMeansAttention: cluster_size must be positive and iterations not negative, "
                f"got cluster_size={cluster_size}, iterations={iterations}."
            )
        self.width, self.head_dim = width, head_dim
        self.cluster_size, self.iterations = cluster_size, iterations
        self.scale = head_dim**-0.5 if isinstance(scale, str) else scale
        self.qkv = nn.Linear(width, 3 * width)
        self.position = depthwise_convolution(width)
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Label the queries, attend within the labels, add the neighbours."""
        qkv = self.qkv(grid)
        q, k, v = split_qkv(qkv.flatten(1, 2), self.head_dim)
        clusters = -(-q.shape[2] // self.cluster_size)
        if clusters == 1:
            heads = scaled_dot_product_attention(q, k, v, scale=self.scale)
        else:
            heads = attend_labels(q, k, v, kmeans_clusters(q, clusters, self.iterations), self.scale)
        neighbours = on_map(self.position, qkv[..., 2 * self.width :])
        return self.projection(merge_heads(heads).view(grid.shape) + neighbours)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections, the two products with the full attention matrix, the convolution, and those of the clustering."""
        t = h * w
        clusters = -(-t // self.cluster_size)
        clustering = 2 * (self.iterations + 1) * clusters * t * self.width if clusters > 1 else 0
        return 4 * t * self.width**2 + 2 * t**2 * self.width + t * self.position.weight.numel() + clustering

"""BOAT's content-based local attention: tokens attend to similar tokens, wherever these lie."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitcore.attention.content.clusters import balanced_clusters, cluster_shape, inverse_permutation
from vitcore.attention.heads import count_heads, merge_heads, split_qkv
from vitcore.convolution import depthwise_convolution, on_map
from vitcore.op import FeatureOp


def sort_tokens(tokens: Float[Tensor, "b n t d"], clusters: Int[Tensor, "b n g s"]) -> Float[Tensor, "b n g s d"]:
    """Arrange tokens by cluster; a slot of padding (a number from t upwards) repeats the last token."""
    b, n, t, d = tokens.shape
    first = torch.arange(b * n, device=tokens.device).view(b, n, 1, 1) * t
    # Whole rows of d channels are copied: on a CPU that is many times faster than torch.gather, which copies single numbers.
    rows = tokens.flatten(0, 2).index_select(0, (clusters.clamp_max(t - 1) + first).flatten())
    return rows.view(*clusters.shape, d)


def unsort_tokens(
    tokens: Float[Tensor, "b n g s d"], clusters: Int[Tensor, "b n g s"], t: int
) -> Float[Tensor, "b n t d"]:
    """Arrange tokens in raster order again and drop the padding: the inverse of ``sort_tokens`` for ``clusters`` that hold
    each of the t tokens once.
    """
    b, n, g, s, d = tokens.shape
    first = torch.arange(b * n, device=tokens.device).view(b, n, 1) * (g * s)
    places = inverse_permutation(clusters.flatten(2))[..., :t] + first
    # Copied into the layout (b, t, n, d), in which merging heads is a view.
    rows = tokens.flatten(0, 3).index_select(0, places.transpose(1, 2).flatten())
    return rows.view(b, t, n, d).transpose(1, 2)


def extend_clusters(clusters: Int[Tensor, "b n g s"], overlap: int) -> Int[Tensor, "b n g k"]:
    """Append to each cluster the ``overlap`` tokens of its sibling that lie next to their common split.

    Clusters 2i and 2i + 1 are siblings: the even one takes the first tokens of the odd one, the odd one the last tokens of
    the even one; all of them where there are fewer than ``overlap``. A single cluster has no sibling and stays as it is.
    """
    if clusters.shape[2] == 1 or overlap == 0:
        return clusters
    overlap = min(overlap, clusters.shape[3])
    even, odd = clusters[:, :, 0::2], clusters[:, :, 1::2]
    from_odd, from_even = odd[..., :overlap], even[..., even.shape[3] - overlap :]
    return torch.stack((torch.cat((even, from_odd), -1), torch.cat((odd, from_even), -1)), 3).flatten(2, 3)


def merge_shared(extended: Float[Tensor, "b n g k d"], size: int) -> Float[Tensor, "b n g s d"]:
    """Undo ``extend_clusters`` on results: a token that two siblings share gets the mean of its two results."""
    shared = extended.shape[3] - size
    if shared == 0:
        return extended
    even, odd = extended.unflatten(2, (-1, 2)).unbind(3)
    even_end = (even[..., size - shared : size, :] + odd[..., size:, :]) / 2
    odd_start = (odd[..., :shared, :] + even[..., size:, :]) / 2
    even = torch.cat((even[..., : size - shared, :], even_end), -2)
    odd = torch.cat((odd_start, odd[..., shared:size, :]), -2)
    return torch.stack((even, odd), 3).flatten(2, 3)


def attend_clusters(
    q: Float[Tensor, "b n t d"],
    k: Float[Tensor, "b n t d"],
    v: Float[Tensor, "b n t d"],
    clusters: Int[Tensor, "b n g s"],
    overlap: int = 0,
    overlap_mode: Literal["keys", "tokens"] = "keys",
    scale: float | None = None,
) -> Float[Tensor, "b n t d"]:
    """Attend within each cluster as ``ClusterAttention`` does; ``clusters`` must hold each token once.

    Numbers from t upwards in ``clusters`` are padding: no token attends to them. A cluster must hold at least one token.
    ``scale`` multiplies the scores; None means d ** -0.5.
    """
    t, (g, s) = q.shape[2], clusters.shape[2:]
    keys = extend_clusters(clusters, overlap)
    queries = keys if overlap_mode == "tokens" else clusters
    # (b * n, g, keys): clusters take the place of heads, so that the attention has four dimensions.
    mask = (keys < t).flatten(0, 1).unsqueeze(2) if g * s > t else None
    sorted_q, sorted_k, sorted_v = (sort_tokens(x, at).flatten(0, 1) for x, at in ((q, queries), (k, keys), (v, keys)))
    attended = scaled_dot_product_attention(sorted_q, sorted_k, sorted_v, attn_mask=mask, scale=scale)
    attended = attended.view(*queries.shape, -1)
    return unsort_tokens(merge_shared(attended, s), clusters, t)


class ClusterAttention(FeatureOp):
    """Each token attends, in each head, to the most similar tokens of its image.

    The queries of a head are sorted into clusters of equal size by balanced hierarchical clustering (``balanced_clusters``);
    a token attends within its cluster, and to the ``overlap`` tokens of the sibling cluster next to the last split. A 3x3
    depth-wise convolution of the values on the map (LePE) is added before the output projection, so that the 3x3 neighbours
    are seen too. No gradient passes through the clustering. With h * w <= cluster_size there is one cluster and no overlap:
    global attention with LePE. With ``overlap=0`` the attention is block-diagonal in the sorted order.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Each head has clusters of its own.
        cluster_size: Tokens in a cluster at most; at least 2. The number of clusters is a power of two; each has
            h * w / clusters tokens, rounded up, and padding is masked.
        overlap: Tokens taken from the sibling cluster, all of them if it has fewer; 0 for none.
        overlap_mode: ``keys``: the sibling's tokens are keys only. ``tokens``: they are queries as well; a token that is in
            two clusters gets the mean of its two results.
        iterations, assignment, temperature: Settings of the clustering, see ``balanced_clusters``.
        scale: Factor on the scores: ``head_dim**-0.5`` or a number.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: with t = h * w, p the t padded to a multiple of the clusters, s = p / clusters and o the overlap in use:
    t * 4 * width**2 + 2 * p * (s + o) * width + 9 * t * width multiply-adds; with ``overlap_mode="tokens"`` p * (s + o) / s
    queries in place of p. Clustering adds p * width * (3 * iterations + 2) in each of the log2(clusters) splits,
    4 * iterations in place of 3 with ``assignment="hard"``.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, ``cluster_size`` is below 2, ``overlap`` or ``iterations`` is
            negative, or ``temperature`` is not positive.

    Source: Yu et al., BOAT: Bilateral Local Attention Vision Transformer, BMVC 2022, sections 3.2-3.3. ``keys`` follows the
    public code and ``tokens`` the paper, which does not say how two results become one. The public code takes 49 * 2**k
    tokens only, and in its CSWin variant, whose scale is 1, a single cluster overlaps with the neighbouring image; here
    nothing passes between images.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 32,
        cluster_size: int = 49,
        overlap: int = 20,
        overlap_mode: Literal["keys", "tokens"] = "keys",
        iterations: int = 2,
        assignment: Literal["soft", "hard"] = "soft",
        temperature: float = 0.01,
        scale: float | Literal["head_dim**-0.5"] = "head_dim**-0.5",
    ) -> None:
        super().__init__()
        count_heads("ClusterAttention", width, head_dim)
        if cluster_size < 2:
            raise ValueError(f"ClusterAttention: cluster_size must be at least 2, got cluster_size={cluster_size}.")
        if overlap < 0 or iterations < 0:
            raise ValueError(
                "ClusterAttention: overlap and iterations must not be negative, "
                f"got overlap={overlap}, iterations={iterations}."
            )
        if temperature <= 0:
            raise ValueError(f"ClusterAttention: temperature must be positive, got temperature={temperature}.")
        self.width, self.head_dim = width, head_dim
        self.cluster_size, self.overlap = cluster_size, overlap
        self.overlap_mode: Literal["keys", "tokens"] = overlap_mode
        self.iterations, self.temperature = iterations, temperature
        self.assignment: Literal["soft", "hard"] = assignment
        self.scale = head_dim**-0.5 if isinstance(scale, str) else scale
        self.qkv = nn.Linear(width, 3 * width)
        self.position = depthwise_convolution(width)
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Cluster the queries, attend within the clusters, add the neighbours."""
        qkv = self.qkv(grid)
        q, k, v = split_qkv(qkv.flatten(1, 2), self.head_dim)
        q = q.contiguous()  # Clustering and sorting both read it: one copy instead of two.
        clusters = balanced_clusters(q, self.cluster_size, self.iterations, self.assignment, self.temperature)
        heads = attend_clusters(q, k, v, clusters, self.overlap, self.overlap_mode, self.scale)
        neighbours = on_map(self.position, qkv[..., 2 * self.width :])
        return self.projection(merge_heads(heads).view(grid.shape) + neighbours)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections, both products with the attention matrices, the convolution, and the clustering."""
        t = h * w
        splits, size = cluster_shape(t, self.cluster_size)
        padded = size * 2**splits
        keys = size + min(self.overlap, size) * (splits > 0)
        queries = 2**splits * (keys if self.overlap_mode == "tokens" else size)
        products = (3 if self.assignment == "soft" else 4) * self.iterations + 2
        clustering = splits * products * padded * self.width
        attention = 2 * queries * keys * self.width
        return 4 * t * self.width**2 + attention + t * self.position.weight.numel() + clustering

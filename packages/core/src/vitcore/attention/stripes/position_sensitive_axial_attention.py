"""Position-sensitive axial attention: queries, keys and values each have learned vectors for the distance."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vitcore.attention.heads import count_heads
from vitcore.op import FeatureOp


def relative_index(length: int, span: int, device: torch.device) -> tuple[Int[Tensor, "l l"], Bool[Tensor, "l l"]]:
    """Return, for each query (row) and key, the table entry of key - query, and whether the key is nearer than ``span``."""
    place = torch.arange(length, device=device)
    offset = place - place[:, None]
    return offset.clamp(1 - span, span - 1) + span - 1, offset.abs() < span


def position_sensitive_attention(
    q: Float[Tensor, "b l n e"],
    k: Float[Tensor, "b l n e"],
    v: Float[Tensor, "b l n d"],
    table: Float[Tensor, "s c"],
    scale: float,
) -> Float[Tensor, "b l n d"]:
    """Attend along one axis: softmax(scale * (q.k + q.r_q + k.r_k)) over the keys, weights on v + r_v.

    The products are written one by one because the values depend on the distance: the weights themselves are needed, and
    ``scaled_dot_product_attention`` does not return them.

    Args:
        q: Queries of n heads in b lines of l tokens.
        k: Keys.
        v: Values.
        table: For each distance key - query from 1 - span to span - 1, [r_q | r_k | r_v] of e + e + d channels, shared by the
            heads. Keys at larger distances are not attended to.
        scale: Factor on the scores.
    """
    length, e = q.shape[1], q.shape[3]
    span = (table.shape[0] + 1) // 2
    index, near = relative_index(length, span, q.device)
    r_q, r_k, r_v = table[index].split((e, e, v.shape[3]), dim=2)
    q = scale * q
    scores = q.transpose(1, 2) @ k.permute(0, 2, 3, 1)
    scores = scores + _per_token(q, r_q.mT).permute(1, 2, 0, 3)
    scores = scores + _per_token(scale * k, r_k.permute(1, 2, 0)).permute(1, 2, 3, 0)
    if length > span:
        scores = scores.masked_fill(~near, -torch.inf)
    weights = scores.softmax(-1)
    by_content = (weights @ v.transpose(1, 2)).transpose(1, 2)
    return by_content + _per_token(weights.transpose(1, 2), r_v).transpose(0, 1)


def _per_token(x: Float[Tensor, "b l n e"], tables: Float[Tensor, "l e m"]) -> Float[Tensor, "l b n m"]:
    """Multiply each token by the table of its place: one matrix product per place, over batch and heads."""
    return torch.bmm(x.transpose(0, 1).flatten(1, 2), tables).unflatten(1, (-1, x.shape[2]))


class _Axis(nn.Module):
    """Position-sensitive attention along the rows of a grid."""

    no_weight_decay = ("table",)

    def __init__(self, width: int, head_dim: int, span: int, scale: float) -> None:
        super().__init__()
        self.head_dim, self.scale = head_dim, scale
        self.qkv = nn.Linear(width, 2 * width)
        self.table = nn.Parameter(torch.empty(2 * span - 1, 2 * head_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table from a normal of variance 1 / head_dim."""
        nn.init.normal_(self.table, std=self.head_dim**-0.5)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        half = self.head_dim // 2
        joint = self.qkv(grid).flatten(0, 1).unflatten(2, (-1, 2 * self.head_dim))
        q, k, v = joint.split((half, half, self.head_dim), dim=3)
        lines = position_sensitive_attention(q, k, v, self.table, self.scale)
        return lines.flatten(2).unflatten(0, (-1, grid.shape[1]))


class PositionSensitiveAxialAttention(FeatureOp):
    """Each token attends along its column, then along its row; queries, keys and values depend on the distance.

    Along an axis the key at distance ``key - query`` has the score q.k + q.r_q + k.r_k and the value v + r_v, with one learned
    vector r_q, r_k and r_v for each distance. Keys nearer than ``span`` are attended to: with ``span >= max(h, w)`` the token
    sees its column, from there the rows, and so the whole map; with a smaller one, a square of side 2 * span - 1.

    Args:
        width: Channels of the grid.
        head_dim: Channels of the values per head, even; must divide ``width``. Queries and keys have half as many.
        span: Distances that the tables cover, in tokens: from 1 - span to span - 1.
        scale: Factor on the scores; (head_dim / 2) ** -0.5 if it is None. 1 follows the equation literally.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: h * w * (5 * width**2 + 3.5 * (h + w) * width) multiply-adds; keys beyond the span are computed and masked.

    Raises:
        ValueError: ``head_dim`` is odd or does not divide ``width``, or ``span`` is less than 1.

    Source: Wang et al., Axial-DeepLab: Stand-Alone Axial-Attention for Panoptic Segmentation, ECCV 2020, Eq. 4. Differs from it
    in the scale, which replaces the public code's BatchNorms on projections, scores and outputs: there are none here.
    The projections have biases.
    """

    def __init__(self, width: int, head_dim: int = 32, span: int = 56, scale: float | None = None) -> None:
        super().__init__()
        count_heads("PositionSensitiveAxialAttention", width, head_dim)
        if head_dim % 2:
            raise ValueError(
                "PositionSensitiveAxialAttention: head_dim must be even, queries and keys have half of it, "
                f"got head_dim={head_dim}."
            )
        if span < 1:
            raise ValueError(f"PositionSensitiveAxialAttention: span must be at least 1, got span={span}.")
        self.width = width
        scale = (head_dim // 2) ** -0.5 if scale is None else scale
        self.columns = _Axis(width, head_dim, span, scale)
        self.rows = _Axis(width, head_dim, span, scale)
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend along columns, then along rows."""
        return self.projection(self.rows(self.columns(grid.transpose(1, 2)).transpose(1, 2)))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections, three score products and two value products along each axis."""
        return h * w * (5 * self.width**2 + 7 * (h + w) * self.width // 2)

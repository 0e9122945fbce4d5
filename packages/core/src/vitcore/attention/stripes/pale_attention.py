"""Pales: interlaced rows and columns. Half of the heads attend within groups of rows, the other half within columns."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import pad

from vitcore.attention.dot_product_attention import group_attention
from vitcore.attention.heads import count_heads
from vitcore.attention.qkv_projection import ProjectionFactory, SeparableProjection
from vitcore.op import FeatureOp


def pale_pair(owner: str, pale: int | tuple[int, int]) -> tuple[int, int]:
    """Return (rows, columns) of a pale, or raise a ValueError in the name of ``owner``."""
    rows, columns = (pale, pale) if isinstance(pale, int) else pale
    if min(rows, columns) < 1:
        raise ValueError(f"{owner}: pale must have at least 1 row and 1 column, got pale={pale}.")
    return rows, columns


def interlace(grid: Shaped[Tensor, "b h w *c"], groups: int) -> Shaped[Tensor, "bn s w *c"]:
    """Deal the rows out: group p of each image takes rows p, p + groups, p + 2 * groups, ...

    If the number of rows is not a multiple of ``groups``, the last groups get a row of zeros.
    """
    below = -grid.shape[1] % groups
    if below:
        grid = pad(grid, (0, 0) * (grid.ndim - 2) + (0, below))
    return grid.unflatten(1, (-1, groups)).transpose(1, 2).flatten(0, 1)


def uninterlace(rows: Shaped[Tensor, "bn s w *c"], groups: int, h: int) -> Shaped[Tensor, "b h w *c"]:
    """Collect h rows from their groups again: the inverse of ``interlace``."""
    return rows.unflatten(0, (-1, groups)).transpose(1, 2).flatten(1, 2)[:, :h]


def row_group_attention(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    groups: int,
    scale: float | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token of row r attend to all tokens of the rows that are congruent to r modulo ``groups``."""
    h, w = q.shape[1:3]
    q, k, v = (interlace(part, groups) for part in (q, k, v))
    real = interlace(torch.ones(1, h, w, dtype=torch.bool, device=q.device), groups) if h % groups else None
    return uninterlace(group_attention(q, k, v, real, scale), groups, h)


def pale_attention(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    pale: int | tuple[int, int] = 7,
    scale: float | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Pale attention in its parallel form: the first half of the heads in groups of rows, the second half of columns.

    There are ceil(h / rows) groups of rows; group p holds rows p, p + groups, p + 2 * groups, ... and so never more than
    ``rows`` of them. Columns are grouped likewise.

    Args:
        q: Queries of n heads, an even number.
        k: Keys.
        v: Values.
        pale: Rows and columns of a pale, or one number for both.
        scale: Factor on the scores; d ** -0.5 if it is None.

    Raises:
        ValueError: The number of heads is odd, keys and queries differ in size, or a pale has no row or column.
    """
    if q.shape[3] % 2 or k.shape != q.shape:
        raise ValueError(
            "pale_attention: q, k and v must have one shape (b, h, w, n, d) with an even number n of heads, "
            f"got q {tuple(q.shape)}, k {tuple(k.shape)}."
        )
    rows, columns = pale_pair("pale_attention", pale)
    (q_rows, q_columns), (k_rows, k_columns), (v_rows, v_columns) = (part.chunk(2, dim=3) for part in (q, k, v))
    by_rows = row_group_attention(q_rows, k_rows, v_rows, -(-q.shape[1] // rows), scale)
    q_columns, k_columns, v_columns = (part.transpose(1, 2) for part in (q_columns, k_columns, v_columns))
    by_columns = row_group_attention(q_columns, k_columns, v_columns, -(-q.shape[2] // columns), scale)
    return torch.cat((by_rows, by_columns.transpose(1, 2)), dim=3)


class PaleAttention(FeatureOp):
    """Each token attends, in half of the heads, to every token of its group of rows and, in the other half, of columns.

    The rows of a group lie at equal distances over the whole map: row r attends to those that are congruent to r modulo
    ceil(h / rows). With ``pale=1`` this is axial attention along rows and columns in parallel; with ``pale >= max(h, w)`` it
    is global attention.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width`` into an even number of heads.
        pale: Rows and columns of a pale, or one number for both. Where it does not divide the map the groups of an axis differ
            in size by one row or column.
        projection: Makes queries, keys and values, of the map's size.
        scale: Factor on the scores; head_dim ** -0.5 if it is None.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: that of the projection, h * w * width**2, and n * t**2 * width multiply-adds for n = ceil(h / rows) groups of
    t = ceil(h / n) * w tokens, and likewise for the columns.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, the number of heads is odd, or a pale has no row or column.

    Source: Wu et al., Pale Transformer: A General Vision Transformer Backbone with Pale-Shaped Attention, AAAI 2022,
    "Efficient Parallel Implementation". The separable projections see all channels, see ``SeparableProjection``. The one public
    implementation, which is not the authors', scales by (2 * head_dim) ** -0.5; pass that number as ``scale`` to get its
    values. It fails where the pale does not divide the map; here the rows of such a map are dealt out as evenly as possible.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 16,
        pale: int | tuple[int, int] = 7,
        projection: ProjectionFactory = SeparableProjection,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        if count_heads("PaleAttention", width, head_dim) % 2:
            raise ValueError(
                "PaleAttention: width must hold an even number of heads, half of them for rows and half for columns, "
                f"got width={width}, head_dim={head_dim}."
            )
        self.width, self.head_dim, self.scale = width, head_dim, scale
        self.pale = pale_pair("PaleAttention", pale)
        self.qkv = projection(width)
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend within rows and columns."""
        q, k, v = (part.unflatten(3, (-1, self.head_dim)) for part in self.qkv(grid))
        return self.projection(pale_attention(q, k, v, self.pale, self.scale).flatten(3))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and the two products with the attention matrix of each group, padded to equal size."""
        total = self.qkv.macs(h, w) + h * w * self.width**2
        for length, across, size in ((h, w, self.pale[0]), (w, h, self.pale[1])):
            groups = -(-length // size)
            tokens = -(-length // groups) * across
            total += groups * tokens**2 * self.width
        return total

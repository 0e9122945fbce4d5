"""Pales without the split: all tokens of a pale, of its rows and of its columns, attend to one another."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vitcore.attention.dot_product_attention import group_attention
from vitcore.attention.heads import count_heads
from vitcore.attention.qkv_projection import ProjectionFactory, SeparableProjection
from vitcore.attention.stripes.pale_attention import pale_pair
from vitcore.op import FeatureOp


def count_pales(h: int, w: int, pale: tuple[int, int]) -> int:
    """Return the smallest number of pales for which none has more than ``pale`` rows and columns."""
    return max(-(-h // pale[0]), -(-w // pale[1]))


def pale_members(h: int, w: int, pales: int, device: torch.device) -> Int[Tensor, "2 n t"]:
    """Return the row and column of each token of each pale: first its rows, then the rest of its columns.

    Pale p has rows p, p + pales, p + 2 * pales, ... and likewise columns. Rows and columns are counted as if h and w were
    multiples of ``pales``: a member may lie below or on the right of the map.
    """
    rows, columns = -(-h // pales), -(-w // pales)
    number = torch.arange(pales, device=device)[:, None, None]
    own_rows = (torch.arange(rows, device=device)[:, None] * pales + number).expand(-1, -1, columns * pales)
    all_columns = torch.arange(columns * pales, device=device).expand(pales, rows, -1)
    other = torch.arange(rows * (pales - 1), device=device)[:, None]
    offset = other % max(pales - 1, 1)
    other_rows = (other // max(pales - 1, 1) * pales + offset + (offset >= number)).expand(-1, -1, columns)
    own_columns = (torch.arange(columns, device=device) * pales + number).expand(-1, rows * (pales - 1), -1)
    first = torch.stack((own_rows, all_columns)).flatten(2)
    return torch.cat((first, torch.stack((other_rows, own_columns)).flatten(2)), dim=2)


def pale_positions(h: int, w: int, pales: int, device: torch.device) -> Int[Tensor, "2 t"]:
    """Return each token's place in the flattened ``pale_members``: in the pale of its row, and in that of its column."""
    rows, columns = -(-h // pales), -(-w // pales)
    size = rows * columns * (2 * pales - 1)
    r, c = torch.arange(h, device=device)[:, None], torch.arange(w, device=device)
    row_pale, column_pale = r % pales, c % pales
    by_row = row_pale * size + r // pales * (columns * pales) + c
    earlier_rows = r // pales * (pales - 1) + row_pale - (row_pale > column_pale).long()
    by_column = column_pale * size + rows * columns * pales + earlier_rows * columns + c // pales
    return torch.stack((by_row, torch.where(row_pale == column_pale, by_row, by_column))).flatten(1)


def vanilla_pale_attention(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    pale: int | tuple[int, int] = 7,
    scale: float | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend within its pales; if its row and column belong to two pales, it gets the mean of its two results.

    Args:
        q: Queries of n heads.
        k: Keys.
        v: Values.
        pale: Rows and columns of a pale, or one number for both.
        scale: Factor on the scores; d ** -0.5 if it is None.

    Raises:
        ValueError: Keys and queries differ in size, or a pale has no row or column.
    """
    if k.shape != q.shape:
        raise ValueError(
            "vanilla_pale_attention: q, k and v must have one shape (b, h, w, n, d), "
            f"got q {tuple(q.shape)}, k {tuple(k.shape)}."
        )
    h, w = q.shape[1:3]
    pales = count_pales(h, w, pale_pair("vanilla_pale_attention", pale))
    r, c = pale_members(h, w, pales, q.device)
    real = (r < h) & (c < w) if h % pales or w % pales else None
    index = (r.clamp(max=h - 1) * w + c.clamp(max=w - 1)).flatten()
    q, k, v = (part.flatten(1, 2).index_select(1, index).unflatten(1, (pales, -1)).flatten(0, 1) for part in (q, k, v))
    tokens = group_attention(q, k, v, real, scale).unflatten(0, (-1, pales)).flatten(1, 2)
    both = tokens.index_select(1, pale_positions(h, w, pales, q.device).flatten())
    return both.unflatten(1, (2, h, w)).mean(1)


class VanillaPaleAttention(FeatureOp):
    """Each token attends, in all heads at once, to the rows and columns of its pale.

    There are n = max(ceil(h / rows), ceil(w / columns)) pales. Pale p has the rows and columns p, p + n, p + 2n, ...: each
    of its tokens attends to all of its tokens, rows and columns jointly. A token in row r and column c is in pale r mod n and
    in pale c mod n and gets the mean of the two results. With ``pale >= max(h, w)`` there is one pale: global attention. With
    ``pale=1`` on a square map a pale is a row and a column, crossing on the diagonal.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``.
        pale: Rows and columns of a pale, or one number for both. One number of pales serves both axes: where one axis needs
            more pales than the other, they have fewer rows or columns along the other.
        projection: Makes queries, keys and values, of the map's size.
        scale: Factor on the scores; head_dim ** -0.5 if it is None.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: that of the projection, h * w * width**2, and 2 * n * t**2 * width multiply-adds for n pales of
    t = ceil(h / n) * ceil(w / n) * (2 * n - 1) tokens.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or a pale has no row or column.

    Source: Wu et al., Pale Transformer: A General Vision Transformer Backbone with Pale-Shaped Attention, AAAI 2022,
    "Pale-Shaped Attention". The paper does not say what a token in two pales gets (the mean is chosen here), and there is no
    public code. A map that the pale does not divide is dealt out as evenly as possible.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 32,
        pale: int | tuple[int, int] = 7,
        projection: ProjectionFactory = SeparableProjection,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        count_heads("VanillaPaleAttention", width, head_dim)
        self.width, self.head_dim, self.scale = width, head_dim, scale
        self.pale = pale_pair("VanillaPaleAttention", pale)
        self.qkv = projection(width)
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend within pales."""
        q, k, v = (part.unflatten(3, (-1, self.head_dim)) for part in self.qkv(grid))
        return self.projection(vanilla_pale_attention(q, k, v, self.pale, self.scale).flatten(3))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and the two products with each pale's attention matrix."""
        pales = count_pales(h, w, self.pale)
        tokens = -(-h // pales) * -(-w // pales) * (2 * pales - 1)
        return self.qkv.macs(h, w) + h * w * self.width**2 + 2 * pales * tokens**2 * self.width

"""Axial attention: each token attends along its column and along its row."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.attention.dot_product_attention import group_attention
from vitcore.attention.heads import count_heads
from vitcore.op import FeatureOp


def row_attention(
    q: Float[Tensor, "b h w n d"], k: Float[Tensor, "b h w n d"], v: Float[Tensor, "b h w n d"]
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to the tokens of its row."""
    rows, keys, values = (part.flatten(0, 1) for part in (q, k, v))
    return group_attention(rows, keys, values).unflatten(0, (-1, q.shape[1]))


def column_attention(
    q: Float[Tensor, "b h w n d"], k: Float[Tensor, "b h w n d"], v: Float[Tensor, "b h w n d"]
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to the tokens of its column."""
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return row_attention(q, k, v).transpose(1, 2)


class AxialAttention(FeatureOp):
    """Each token attends along its column and along its row.

    ``sequential``: all heads attend along columns; from the result new queries, keys and values are made, and all heads
    attend along rows. Through its row the token sees the whole map. ``parallel``: the first half of the heads attends
    along rows, the second half along columns, and the token sees a cross. On a map of one row, ``parallel`` attention along
    columns returns the value itself.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``, for ``parallel`` into an even number of heads. Scores are scaled by
            head_dim ** -0.5.
        order: One axis after the other (``sequential``: columns, then rows) or both at once (``parallel``).

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: h * w * (7 * width**2 + 2 * (h + w) * width) multiply-adds for ``sequential``,
    h * w * (4 * width**2 + (h + w) * width) for ``parallel``.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or the number of heads is odd and ``order="parallel"``.

    Source: Ho et al., Axial Attention in Multidimensional Transformers, 2019, where each axis is a residual layer of its own;
    ``sequential`` has the order of Wang et al., Axial-DeepLab, ECCV 2020, no residual in between and one output projection.
    ``parallel`` is what CSWin with a stripe of 1 (apart from LePE) and Pale with a pale of 1 reduce to.
    """

    def __init__(self, width: int, head_dim: int = 32, order: Literal["sequential", "parallel"] = "sequential") -> None:
        super().__init__()
        heads = count_heads("AxialAttention", width, head_dim)
        if order == "parallel" and heads % 2:
            raise ValueError(
                "AxialAttention: width must hold an even number of heads for order='parallel', "
                f"got width={width}, head_dim={head_dim}."
            )
        self.width, self.head_dim, self.order = width, head_dim, order
        self.qkv = nn.Linear(width, 3 * width)
        self.qkv_rows = nn.Linear(width, 3 * width) if order == "sequential" else nn.Identity()
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend along both axes."""
        if self.order == "sequential":
            # Transposed before the projection: one copy of ``width`` channels instead of three.
            by_columns = row_attention(*self._heads(self.qkv(grid.transpose(1, 2)))).flatten(3).transpose(1, 2)
            mixed = row_attention(*self._heads(self.qkv_rows(by_columns)))
        else:
            q, k, v = self._heads(self.qkv(grid))
            (q_rows, q_columns), (k_rows, k_columns), (v_rows, v_columns) = (part.chunk(2, dim=3) for part in (q, k, v))
            by_rows = row_attention(q_rows, k_rows, v_rows)
            mixed = torch.cat((by_rows, column_attention(q_columns, k_columns, v_columns)), dim=3)
        return self.projection(mixed.flatten(3))

    def _heads(self, qkv: Float[Tensor, "b h w c3"]) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = qkv.unflatten(3, (3, -1, self.head_dim)).unbind(3)
        return q, k, v

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and the two products with each row's and column's attention matrix."""
        if self.order == "parallel":
            return h * w * (4 * self.width**2 + (h + w) * self.width)
        return h * w * (7 * self.width**2 + 2 * (h + w) * self.width)

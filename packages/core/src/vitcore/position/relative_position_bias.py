"""Relative position bias: a learned number for each displacement inside a window."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.position.absolute_position import resize_table
from vitcore.position.window_position import WindowPosition, pair_displacements


class RelativePositionBias(WindowPosition):
    """One learned number for each head and displacement query - key, read from a table.

    A window smaller than ``window`` has fewer displacements and uses the middle of the table.

    Args:
        window: Side of the largest window, in tokens.
        heads: Number of heads.

    Shapes:
        rows, columns -> (1, heads, t, t)
        ``table`` ((2 * window - 1)**2, heads): row displacement first, each from -(window - 1) to window - 1

    Source: Liu et al., Swin Transformer, ICCV 2021, Eq. 4. The public code makes the table for the window that it uses, which
    is smaller on a smaller map: to load its weights, build this for that window.
    """

    no_weight_decay = ("table",)

    def __init__(self, window: int, heads: int) -> None:
        super().__init__(window, heads)
        self.table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table from a truncated normal (0.02)."""
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, rows: int, columns: int) -> Float[Tensor, "1 n t t"]:
        """Return the table's entry for each pair."""
        m = self.window
        table = self.table.unflatten(0, (2 * m - 1, 2 * m - 1))
        return pair_displacements(table[m - rows : m + rows - 1, m - columns : m + columns - 1], rows, columns)

    def resized(self, name: str, value: Float[Tensor, "s2 n"]) -> Float[Tensor, "t2 n"]:
        """Return a table made for another window at the size of this one (bicubic); unchanged if it is not such a table."""
        old, new = math.isqrt(value.shape[0]), 2 * self.window - 1
        if old**2 != value.shape[0]:
            return value
        return resize_table(value.view(1, old, old, -1), new, new).flatten(0, 2)

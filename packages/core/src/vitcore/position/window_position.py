"""Positions inside a window: what is added to the scores of each pair of tokens because of where they are."""

from collections.abc import Callable
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn


def pair_displacements(table: Float[Tensor, "r c n"], rows: int, columns: int) -> Float[Tensor, "1 n t t"]:
    """Read a table over displacements (2 * rows - 1, 2 * columns - 1, n) for each pair of tokens of a window.

    Entry (query, key) is that of the displacement query - key; the zero displacement is the middle of the table.
    """
    # Entry [a, b, :, i, j] of the sliding view is table[a + i, b + j]: (i, j) is the query, (a, b) the key counted from the end.
    # A view needs no index table, and its gradient is summed in the same order on every device.
    pairs = table.unfold(0, rows, 1).unfold(1, columns, 1).flip(0, 1)
    return pairs.permute(2, 3, 4, 0, 1).reshape(1, -1, rows * columns, rows * columns)


class WindowPosition(nn.Module):
    """Base of the positions in a window. It is made for the largest window and called for any window that is not larger.

    Args:
        window: Side of the largest window, in tokens.
        heads: Number of heads.

    Shapes:
        rows, columns (at most ``window``) -> (1, heads, t, t) or None, t = rows * columns in raster order: (query, key)
    """

    def __init__(self, window: int, heads: int) -> None:
        super().__init__()
        self.window = window
        self.heads = heads

    def forward(self, rows: int, columns: int) -> Float[Tensor, "1 n t t"] | None:
        """Return what is added to the scores of each head."""
        raise TypeError(f"{type(self).__name__} does not define forward(rows, columns).")

    def macs(self, rows: int, columns: int) -> int:
        """Return the multiply-adds for one window shape; they do not grow with the batch."""
        return 0


class NoPosition(WindowPosition):
    """Nothing is added: the tokens of a window are a set.

    Source: the arm "no pos." of Liu et al., Swin Transformer, ICCV 2021, Table 4.
    """

    def forward(self, rows: int, columns: int) -> None:
        """Return None: nothing is added."""
        return


WindowPositionFactory: TypeAlias = Callable[[int, int], WindowPosition]
"""Makes a position for (window, heads): what an attention's ``position`` argument holds."""

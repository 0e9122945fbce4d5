"""Positions inside a window: what is added to the scores of each pair of tokens because of where they are."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from vitcore.position.absolute import resize_table


def pair_displacements(table: Float[Tensor, "r c n"], rows: int, columns: int) -> Float[Tensor, "1 n t t"]:
    """Read a table over displacements (2 * rows - 1, 2 * columns - 1, n) for each pair of tokens of a window.

    Entry (query, key) is that of the displacement query - key; the zero displacement is the middle of the table.
    """
    # Entry [a, b, :, i, j] of the sliding view is table[a + i, b + j]: (i, j) is the query, (a, b) the key counted from the end.
    # A view has no index table to keep, and its gradient is summed in one order on every device.
    pairs = table.unfold(0, rows, 1).unfold(1, columns, 1).flip(0, 1)
    return pairs.permute(2, 3, 4, 0, 1).reshape(1, -1, rows * columns, rows * columns)


class WindowPosition(nn.Module):
    """What tells the tokens of a window apart. Made for the largest window, asked for any window that is not larger.

    Args:
        window: Side of the largest window, in tokens.
        heads: Number of heads.

    Shapes:
        rows, columns (at most ``window``) -> (1, heads, t, t) or None, t = rows * columns in raster order: [query][key]
    """

    def __init__(self, window: int, heads: int) -> None:
        super().__init__()
        self.window = window
        self.heads = heads

    def forward(self, rows: int, columns: int) -> Float[Tensor, "1 n t t"] | None:
        """Return what is added to the scores of each head."""
        raise TypeError(f"{type(self).__name__} does not define forward(rows, columns).")

    def macs(self, rows: int, columns: int) -> int:
        """Multiply-adds for one window shape; they do not grow with the batch."""
        return 0


class NoPosition(WindowPosition):
    """Nothing is added: the tokens of a window are a set.

    Source: the arm "no pos." of Liu et al., Swin Transformer, ICCV 2021, Table 4.
    """

    def forward(self, rows: int, columns: int) -> None:
        """Return None."""
        return


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
    on a smaller map is smaller: for its weights, make this with that window.
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
        """Return a table made for another window at the size of this one (bicubic); as it is if it is no such table."""
        old, new = math.isqrt(value.shape[0]), 2 * self.window - 1
        if old**2 != value.shape[0]:
            return value
        return resize_table(value.view(1, old, old, -1), new, new).flatten(0, 2)


class AbsolutePositionBias(WindowPosition):
    """One learned number for each head, place of the query and place of the key: displacements that are equal share nothing.

    The control for ``RelativePositionBias``, which is the case of equal numbers for equal displacements. A window smaller than
    ``window`` uses the places of the top left corner.

    Args:
        window: Side of the largest window, in tokens.
        heads: Number of heads.

    Shapes:
        rows, columns -> (1, heads, t, t)
        ``table`` (heads, window**2, window**2)

    Source: none; the learned pairwise form of absolute positions. Swin's own absolute arm adds vectors to the embedded patches,
    which is ``AbsolutePosition``.
    """

    no_weight_decay = ("table",)

    def __init__(self, window: int, heads: int) -> None:
        super().__init__(window, heads)
        self.table = nn.Parameter(torch.empty(heads, window**2, window**2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table from a truncated normal (0.02)."""
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, rows: int, columns: int) -> Float[Tensor, "1 n t t"]:
        """Return the table's entry for each pair."""
        side = (self.window, self.window)
        table = self.table.unflatten(2, side).unflatten(1, side)[:, :rows, :columns, :rows, :columns]
        # A view of the parameter would count as differentiable under no_grad too and keep the attention from its fused kernel.
        return table.clone().reshape(1, -1, rows * columns, rows * columns)


class ContinuousPositionBias(WindowPosition):
    """A small network maps each displacement, in log-spaced coordinates, to one number for each head.

    The coordinate of d tokens is sign(d) * log2(1 + 8 * abs(d) / (reference - 1)) / 3; linear - ReLU - linear without bias maps
    the two coordinates to the heads, and 16 * sigmoid bounds the result.

    Args:
        window: Side of the largest window, in tokens.
        heads: Number of heads.
        hidden: Units of the network.
        reference: Window for which the coordinates span -1.06 to 1.06: that of the pre-training when a network moves to larger
            windows; 0 for ``window`` itself.

    Shapes:
        rows, columns -> (1, heads, t, t)

    Cost: (2 * rows - 1) * (2 * columns - 1) * hidden * (2 + heads) multiply-adds, once for the whole batch.

    Raises:
        ValueError: ``hidden`` is less than 1 or ``reference`` is negative.

    Source: Liu et al., Swin Transformer V2, CVPR 2022, Eqs. 3-4. The normalisation of the coordinates, the bound 16 * sigmoid
    and the 512 units are those of the public code, which divides by 0 for a window of 1; here its one displacement has
    coordinate 0. Cosine attention, the paper's other half, is not part of this.
    """

    def __init__(self, window: int, heads: int, hidden: int = 512, reference: int = 0) -> None:
        super().__init__(window, heads)
        if hidden < 1 or reference < 0:
            raise ValueError(
                "ContinuousPositionBias: hidden must be at least 1 and reference at least 0, "
                f"got hidden={hidden}, reference={reference}."
            )
        self.reference = reference or window
        self.expand = nn.Linear(2, hidden)
        self.contract = nn.Linear(hidden, heads, bias=False)

    def forward(self, rows: int, columns: int) -> Float[Tensor, "1 n t t"]:
        """Evaluate the network at every displacement."""
        y, x = self._coordinates(rows), self._coordinates(columns)
        places = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1)
        return pair_displacements(16 * self.contract(relu(self.expand(places))).sigmoid(), rows, columns)

    def _coordinates(self, side: int) -> Float[Tensor, "s"]:
        weight = self.expand.weight
        displacements = torch.arange(1 - side, side, device=weight.device, dtype=weight.dtype)
        scaled = 8 * displacements / max(self.reference - 1, 1)
        return scaled.sign() * (1 + scaled.abs()).log2() / 3

    def macs(self, rows: int, columns: int) -> int:
        """Two layers for each displacement."""
        hidden = self.expand.out_features
        return (2 * rows - 1) * (2 * columns - 1) * hidden * (2 + self.heads)


WindowPositionFactory: TypeAlias = Callable[[int, int], WindowPosition]
"""Makes a position for (window, heads): what an attention's ``position`` argument holds."""

"""Absolute position bias: a learned number for each pair of places inside a window."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.position.window_position import WindowPosition


class AbsolutePositionBias(WindowPosition):
    """One learned number for each head, place of the query and place of the key: equal displacements share nothing.

    The control for ``RelativePositionBias``, which gives equal displacements equal numbers. A window smaller than
    ``window`` uses the places of the top left corner.

    Args:
        window: Side of the largest window, in tokens.
        heads: Number of heads.

    Shapes:
        rows, columns -> (1, heads, t, t)
        ``table`` (heads, window**2, window**2)

    Source: none; it is the learned pairwise form of absolute positions. Swin's own absolute arm adds vectors to the embedded
    patches, which is ``AbsolutePosition``.
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

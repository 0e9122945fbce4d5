"""Normalisations on grids. ``torch.nn.LayerNorm(width)`` needs no version for grids: it acts on the last axis."""

from jaxtyping import Float
from torch import Tensor, nn


class GridBatchNorm2d(nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d`` for grids: statistics per channel over batch, rows and columns.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
    """

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Normalise."""
        return super().forward(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

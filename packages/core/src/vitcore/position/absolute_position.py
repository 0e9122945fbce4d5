"""Absolute positions: a learned vector for each place of the map."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vitcore.op import FeatureOp, value_of


def resize_table(
    table: Float[Tensor, "1 h w c"], h: int, w: int, interpolation: Literal["bicubic", "bilinear"] = "bicubic"
) -> Float[Tensor, "1 h2 w2 c"]:
    """Interpolate a table of positions to h x w tokens (corners not aligned); a table of that size is returned as it is."""
    if table.shape[1:3] == (h, w):
        return table
    resized = interpolate(table.permute(0, 3, 1, 2), size=(h, w), mode=interpolation, align_corners=False)
    return resized.permute(0, 2, 3, 1)


class AbsolutePosition(FeatureOp):
    """A learned vector for each place, and one for each prefix token; interpolated for maps of another size.

    Args:
        width: Channels of the grid.
        grid_size: Rows and columns that the table is made for, in tokens.
        prefix_tokens: Tokens in front of the grid that have positions of their own.
        interpolation: How the table adapts to another size.
        weight_decay: ``none``: the table is exempt, as in DeiT. ``as_weights``: it decays like a weight, as in PVT.

    Shapes:
        grid (b, h, w, width) -> (1, h, w, width): what a skeleton adds to the grid
        prefix (b, p, width) -> (1, p, width), p = prefix_tokens

    Cost: no multiply-adds.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, Eq. 1 and section 3.2 (interpolation).
    """

    def __init__(
        self,
        width: int,
        grid_size: tuple[int, int],
        prefix_tokens: int = 0,
        interpolation: Literal["bicubic", "bilinear"] = "bicubic",
        weight_decay: Literal["none", "as_weights"] = "none",
    ) -> None:
        super().__init__()
        self.no_weight_decay = ("table",) if weight_decay == "none" else ()
        self.grid_size = (grid_size[0], grid_size[1])
        self.prefix_tokens = prefix_tokens
        self.interpolation: Literal["bicubic", "bilinear"] = interpolation
        self.table = nn.Parameter(torch.empty(1, prefix_tokens + grid_size[0] * grid_size[1], width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table from a truncated normal (0.02)."""
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "1 h w c"]:
        """Return the table at the grid's size."""
        table = value_of(self.table)[:, self.prefix_tokens :].unflatten(1, self.grid_size)
        return resize_table(table, grid.shape[1], grid.shape[2], self.interpolation)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "1 h w c"], Float[Tensor, "1 p c"]]:
        """Return the table and the prefix's own entries."""
        return self(grid), value_of(self.table)[:, : self.prefix_tokens]

    def resized(self, name: str, value: Float[Tensor, "1 n c"]) -> Float[Tensor, "1 m c"]:
        """Return a table made for another, square grid at the size of this one; unchanged if that grid was not square."""
        side = math.isqrt(max(value.shape[1] - self.prefix_tokens, 0))
        if side == 0 or side**2 != value.shape[1] - self.prefix_tokens:
            return value
        prefix, table = value[:, : self.prefix_tokens], value[:, self.prefix_tokens :].unflatten(1, (side, side))
        return torch.cat((prefix, resize_table(table, *self.grid_size, self.interpolation).flatten(1, 2)), dim=1)

    def drop_prefix(self) -> None:
        """Remove the entries of the prefix tokens, for a network whose prefix tokens were removed."""
        self.table = nn.Parameter(self.table.detach()[:, self.prefix_tokens :].clone())
        self.prefix_tokens = 0

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Return 0: there are only additions."""
        return 0

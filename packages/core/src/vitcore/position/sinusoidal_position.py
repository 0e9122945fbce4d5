"""Fixed positions: sines and cosines of geometrically spaced wavelengths, no parameter."""

from typing import Literal

import torch
from jaxtyping import Float, Num
from torch import Tensor

from vitcore.op import FeatureOp


def sinusoidal_table(positions: Num[Tensor, "n"], width: int) -> Float[Tensor, "n width"]:
    """Return for each position p the vector whose entries 2j and 2j + 1 are the sine and cosine of p / 10000**(2j / width).

    The angles are computed in float64 and the result is rounded to float32: at position 3,000 a float32 angle is wrong by 1e-4.
    """
    even = torch.arange(0, width, 2, device=positions.device, dtype=torch.float64)
    angles = positions.double()[:, None] / 10000 ** (even / width)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width].float()


class SinusoidalPosition(FeatureOp):
    """A fixed vector for each place: a function of the raster index, or of row and column; the same for every image.

    Args:
        width: Channels of the grid.
        form: ``raster`` numbers prefix tokens and then the places in raster order, so that one table serves all.
            ``rows_and_columns`` gives the first half of the channels to the row and the second half to the column; a place
            keeps its vector when the map grows, and prefix tokens get none.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width): what a skeleton adds to the grid; one table, expanded without a copy
        prefix (b, p, width) -> (b, p, width) for ``raster``; None for ``rows_and_columns``

    Cost: no multiply-adds.

    Raises:
        ValueError: ``rows_and_columns`` with an odd ``width``.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.5; over the raster index as in Yuan et al.,
    Tokens-to-Token ViT, ICCV 2021, whose public code keeps the same float32 numbers, position 0 for the class token, as a
    frozen parameter. Two halves as in Parmar et al., Image Transformer, ICML 2018.
    """

    def __init__(self, width: int, form: Literal["raster", "rows_and_columns"] = "raster") -> None:
        super().__init__()
        if form == "rows_and_columns" and width % 2:
            raise ValueError(f"SinusoidalPosition: rows_and_columns needs an even width, got width={width}.")
        self.width = width
        self.form = form

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Return the positions of the grid's places."""
        return self._places(grid, first=0)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"] | None]:
        """Return the positions of the grid's places, counted after the prefix, and those of the prefix."""
        if self.form == "rows_and_columns":
            return self(grid), None
        p = prefix.shape[1]
        table = sinusoidal_table(torch.arange(p, device=prefix.device), self.width)
        return self._places(grid, first=p), table.to(prefix.dtype).expand(prefix.shape)

    def _places(self, grid: Float[Tensor, "b h w c"], first: int) -> Float[Tensor, "b h w c"]:
        h, w = grid.shape[1:3]
        if self.form == "raster":
            positions = torch.arange(first, first + h * w, device=grid.device)
            table = sinusoidal_table(positions, self.width).view(h, w, -1)
        else:
            half = self.width // 2
            rows = sinusoidal_table(torch.arange(h, device=grid.device), half)[:, None].expand(h, w, half)
            columns = sinusoidal_table(torch.arange(w, device=grid.device), half).expand(h, w, half)
            table = torch.cat((rows, columns), dim=-1)
        return table.to(grid.dtype).expand(grid.shape)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Return 0: there are only additions."""
        return 0

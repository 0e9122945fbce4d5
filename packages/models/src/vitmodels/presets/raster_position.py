"""T2T's fixed positions, made for what a skeleton supplies to the slot of an absolute position."""

from vitcore import SinusoidalPosition


class RasterPosition(SinusoidalPosition):
    """Sines and cosines of the raster index, prefix tokens first, computed for the map that comes.

    Args:
        width: Channels of the grid.
        grid_size: Rows and columns that the model is made for; other sizes get positions of their own, not interpolated ones.
        prefix_tokens: Tokens in front of the grid.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width); prefix (b, p, width) -> (b, p, width)

    Cost: no multiply-adds.

    Source: Yuan et al., Tokens-to-Token ViT, ICCV 2021, whose public code keeps the numbers as a frozen parameter.
    """

    def __init__(self, width: int, grid_size: tuple[int, int], prefix_tokens: int) -> None:
        super().__init__(width, form="raster")

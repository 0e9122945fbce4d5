"""What every embedding is: from an image to a grid, or from a grid to a coarser one."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import on_map


class Embedding(nn.Module):
    """Base of the modules that make a grid from an image, or a coarser grid from a finer one.

    Attributes:
        reduction: How many rows of the input make one row of the grid; likewise for columns.

    Shapes:
        image (b, c, H, W) or grid (b, H, W, c) -> grid (b, h, w, width)
    """

    reduction: int

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of the grid made of h x w pixels or tokens."""
        raise TypeError(f"{type(self).__name__} does not state the size of its grid: define map_size(h, w).")

    def macs(self, h: int, w: int) -> int:
        """Return the multiply-adds for a grid of h x w tokens."""
        raise TypeError(f"{type(self).__name__} does not state its cost: define macs(h, w).")


def project_patches(projection: nn.Conv2d, image: Float[Tensor, "b c H W"], stride: int) -> Float[Tensor, "b h w d"]:
    """Convolve an image to tokens whose channels come last in memory, as all later modules expect.

    Either the image or the tokens must be copied for that; the smaller of the two is.
    """
    grid = image.permute(0, 2, 3, 1)
    width, in_chans = projection.weight.shape[:2]
    if in_chans * stride**2 < width:
        grid = grid.contiguous()
    return on_map(projection, grid).contiguous()

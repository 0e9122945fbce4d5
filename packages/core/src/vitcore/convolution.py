"""Convolutions on grids: the channels come last, as everywhere in this package."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn


def same_padding(owner: str, kernel_size: int) -> int:
    """Return the zero padding that keeps h and w, or raise a ValueError in the name of ``owner`` for an even kernel."""
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"{owner}: kernel_size must be odd and positive, got kernel_size={kernel_size}.")
    return kernel_size // 2


def strided_size(h: int, w: int, kernel_size: int, stride: int, padding: int) -> tuple[int, int]:
    """Return the rows and columns that a strided convolution makes of an h x w map: one for each place its kernel fits in."""
    return (h + 2 * padding - kernel_size) // stride + 1, (w + 2 * padding - kernel_size) // stride + 1


def require_patch(owner: str, grid: Float[Tensor, "b h w c"], kernel_size: int, padding: int) -> None:
    """Raise a ValueError in the name of ``owner`` if no window of ``kernel_size`` fits into the padded map."""
    h, w = grid.shape[1:3]
    if min(h, w) + 2 * padding < kernel_size:
        raise ValueError(
            f"{owner}: the map must hold at least one patch, "
            f"got map={(h, w)}, kernel_size={kernel_size}, padding={padding}."
        )


def on_map(module: Callable[[Tensor], Tensor], grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c2"]:
    """Apply to a grid what takes and gives maps (b, c, h, w), such as torch's convolutions and BatchNorms.

    The ops hold torch's own modules and call them through this function, so that libraries that count, convert or replace such
    modules recognise them. A contiguous grid seen as (b, c, h, w) is channels-last already: nothing is copied.
    """
    return module(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def depthwise_convolution(width: int, kernel_size: int = 3, bias: int = 1) -> nn.Conv2d:
    """Return one odd filter per channel that keeps h and w; h * w * ``weight.numel()`` multiply-adds. See ``DepthwiseConv2d``."""
    return nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width, bias=bias > 0)


class GridConv2d(nn.Conv2d):
    """``torch.nn.Conv2d`` for grids, for an op that has no call of ``on_map``.

    Shapes:
        grid (b, h, w, in_channels) -> (b, h', w', out_channels), h' and w' as for ``torch.nn.Conv2d``
    """

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c2"]:
        """Convolve."""
        return on_map(super().forward, grid)


class DepthwiseConv2d(GridConv2d):
    """One k x k filter per channel, with stride 1 and zero padding that keeps h and w.

    Args:
        width: Channels.
        kernel_size: Side of the filter in tokens; odd.
        bias: Number of bias terms per channel: 1 or 0.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: h * w * width * kernel_size**2 multiply-adds.

    Raises:
        ValueError: ``kernel_size`` is even.
    """

    def __init__(self, width: int, kernel_size: int = 3, bias: int = 1) -> None:
        padding = same_padding(type(self).__name__, kernel_size)
        super().__init__(width, width, kernel_size, padding=padding, groups=width, bias=bias > 0)

    def macs(self, h: int, w: int) -> int:
        """Count one filter for each token and channel."""
        return h * w * self.out_channels * self.kernel_size[0] * self.kernel_size[1]

"""T2T's soft split: each overlapping patch becomes a token that holds the channels of all its tokens."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import unfold

from vitcore.convolution import require_patch, strided_size


def overlapping_patches(
    grid: Float[Tensor, "b H W c"], kernel_size: int, stride: int, padding: int
) -> Float[Tensor, "b h w ck2"]:
    """Concatenate the channels of the tokens of each patch, ordered (channel, row, column); zeros lie around the map."""
    size = strided_size(grid.shape[1], grid.shape[2], kernel_size, stride, padding)
    patches = unfold(grid.permute(0, 3, 1, 2), kernel_size, padding=padding, stride=stride)
    return patches.transpose(1, 2).unflatten(1, size)


class SoftSplit(nn.Module):
    """Make one token of each overlapping square patch by concatenation; no parameter.

    Args:
        in_width: Channels of the grid. An image enters as ``image.permute(0, 2, 3, 1)``.
        kernel_size: Side of a patch in tokens.
        stride: Distance of neighbouring patches in tokens.
        padding: Zeros on each side of the grid, in tokens. T2T takes 7, 4 and 2, then twice 3, 2 and 1. With ``kernel_size``
            equal to ``stride`` and no padding the patches are disjoint and each token is used once.

    Shapes:
        grid (b, H, W, in_width) -> (b, h, w, in_width * kernel_size**2), h = (H + 2 * padding - kernel_size) // stride + 1,
        w likewise. ``width`` holds the new number of channels, ordered as by ``torch.nn.Unfold``.

    Cost: no multiply-adds; kernel_size**2 / stride**2 times the memory of the grid.

    Raises:
        ValueError: The padded grid is smaller than a patch.

    Source: Yuan et al., Tokens-to-Token ViT, ICCV 2021, section 3.1.
    """

    def __init__(self, in_width: int, kernel_size: int = 3, stride: int = 2, padding: int = 1) -> None:
        super().__init__()
        self.reduction = stride
        self.kernel_size, self.padding = kernel_size, padding
        self.width = in_width * kernel_size**2

    def forward(self, grid: Float[Tensor, "b H W c"]) -> Float[Tensor, "b h w d"]:
        """Split the grid."""
        require_patch("SoftSplit", grid, self.kernel_size, self.padding)
        return overlapping_patches(grid, self.kernel_size, self.reduction, self.padding)

    def macs(self, h: int, w: int) -> int:
        """Return 0: tokens are only copied."""
        return 0

"""TNT's stem: every patch of the image as a small square of pixel tokens."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import on_map


def split_into_patches(grid: Float[Tensor, "b H W c"], side: int) -> Float[Tensor, "b h w m c"]:
    """Cut a map into patches of side x side tokens, m of them in raster order; rows and columns left over are dropped."""
    h, w = grid.shape[1] // side, grid.shape[2] // side
    whole = grid[:, : h * side, : w * side]
    return whole.unflatten(2, (w, side)).unflatten(1, (h, side)).transpose(2, 3).flatten(3, 4)


def join_patches(pixels: Float[Tensor, "b h w m c"]) -> Float[Tensor, "b H W c"]:
    """Undo ``split_into_patches`` for square patches of a map without remainder."""
    side = round(pixels.shape[3] ** 0.5)
    return pixels.unflatten(3, (side, side)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


class PixelEmbedding(nn.Module):
    """Map the image to pixel tokens by a strided convolution, group them by patch, and add a position to each place of a patch.

    Args:
        in_chans: Channels of the image.
        pixel_width: Channels of a pixel token.
        patch_size: Side of a patch in pixels of the image.
        stride: Side of a pixel token in pixels of the image; must divide ``patch_size``.

    Shapes:
        image (b, in_chans, H, W) -> pixels (b, h, w, m, pixel_width), m = (patch_size / stride)**2,
        h = ceil(H / stride) // (patch_size / stride), w likewise

    Cost: 49 * in_chans * pixel_width * ceil(H / stride) * ceil(W / stride) multiply-adds.

    Raises:
        ValueError: ``stride`` does not divide ``patch_size``, or the image is smaller than a patch.

    Source: Han et al., Transformer in Transformer, NeurIPS 2021, section 3.1; the 7 x 7 convolution is that of the public code.
    """

    def __init__(self, in_chans: int, pixel_width: int, patch_size: int = 16, stride: int = 4) -> None:
        super().__init__()
        if stride < 1 or patch_size % stride:
            raise ValueError(
                f"PixelEmbedding: stride must divide patch_size, got patch_size={patch_size}, stride={stride}."
            )
        self.reduction = patch_size
        self.side = patch_size // stride
        self.projection = nn.Conv2d(in_chans, pixel_width, 7, stride, padding=3)
        self.position = nn.Parameter(torch.empty(self.side**2, pixel_width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the positions anew."""
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b h w m d"]:
        """Embed the pixels."""
        pixels = on_map(self.projection, image.permute(0, 2, 3, 1).contiguous())
        if min(pixels.shape[1:3]) < self.side:
            raise ValueError(
                "PixelEmbedding: the image must hold at least one patch, "
                f"got image={tuple(image.shape[2:])}, patch_size={self.reduction}."
            )
        return split_into_patches(pixels, self.side) + self.position

    def macs(self, h: int, w: int) -> int:
        """Count one matrix product for each pixel token, for an image without remainder."""
        return h * w * self.side**2 * self.projection.weight.numel()

"""Overlapping patches of an image become tokens, by a strided convolution and a norm."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import require_patch, strided_size
from vitcore.embedding.embedding import Embedding, project_patches
from vitcore.norm import build_norm, normalise
from vitcore.op import NormFactory


class OverlapPatchEmbedding(Embedding):
    """Map overlapping square patches of the image to tokens and normalise them.

    Args:
        in_chans: Channels of the image.
        width: Channels of the grid.
        kernel_size: Side of a patch in pixels.
        stride: Distance of neighbouring patches in pixels. With ``kernel_size`` equal to it and ``padding=0`` the patches do
            not overlap, as in PVT and Swin.
        padding: Zeros on each side of the image, in pixels; None for ``kernel_size // 2``. PVTv2 and Pale take 7, 4 and 3,
            CSWin 7, 4 and 2.
        norm: Makes the normalisation of the tokens; ``torch.nn.Identity`` for none.

    Shapes:
        image (b, in_chans, H, W) -> grid (b, h, w, width), h = (H + 2 * padding - kernel_size) // stride + 1, w likewise

    Cost: h * w * kernel_size**2 * in_chans * width multiply-adds.

    Raises:
        ValueError: The padded image is smaller than a patch.

    Source: Wang et al., PVT v2, CVMJ 2022, "Overlapping Patch Embedding".
    """

    def __init__(
        self,
        in_chans: int,
        width: int,
        kernel_size: int = 7,
        stride: int = 4,
        padding: int | None = None,
        norm: NormFactory = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.reduction = stride
        self.kernel_size, self.padding = kernel_size, kernel_size // 2 if padding is None else padding
        self.projection = nn.Conv2d(in_chans, width, kernel_size, stride, self.padding)
        self.norm = build_norm(norm, width)

    def forward(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b h w d"]:
        """Embed the patches."""
        require_patch("OverlapPatchEmbedding", image.permute(0, 2, 3, 1), self.kernel_size, self.padding)
        return normalise(self.norm, project_patches(self.projection, image, self.reduction))

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of the grid of an image of h x w pixels."""
        return strided_size(h, w, self.kernel_size, self.reduction, self.padding)

    def macs(self, h: int, w: int) -> int:
        """Count one matrix product for each patch."""
        return h * w * self.projection.weight.numel()

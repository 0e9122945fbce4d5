"""Patch embedding: disjoint square patches of the image become tokens."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.embedding.embedding import Embedding, project_patches


class PatchEmbedding(Embedding):
    """Cut the image into square patches and map each to a token.

    Args:
        in_chans: Channels of the image.
        width: Channels of the grid.
        patch_size: Side of a patch in pixels. Rows and columns that do not fill a patch are dropped, as by a strided convolution.

    Shapes:
        image (b, in_chans, H, W) -> grid (b, H // patch_size, W // patch_size, width)

    Cost: h * w * patch_size**2 * in_chans * width multiply-adds.

    Raises:
        ValueError: The image is smaller than a patch.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, Eq. 1.
    """

    def __init__(self, in_chans: int, width: int, patch_size: int = 16) -> None:
        super().__init__()
        self.reduction = patch_size
        self.projection = nn.Conv2d(in_chans, width, patch_size, stride=patch_size)

    def forward(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b h w d"]:
        """Embed the patches."""
        if min(image.shape[2:]) < self.reduction:
            raise ValueError(
                "PatchEmbedding: the image must hold at least one patch, "
                f"got image={tuple(image.shape[2:])}, patch_size={self.reduction}."
            )
        return project_patches(self.projection, image, self.reduction)

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of the grid of an image of h x w pixels."""
        return h // self.reduction, w // self.reduction

    def macs(self, h: int, w: int) -> int:
        """Count one matrix product for each patch."""
        return h * w * self.projection.weight.numel()

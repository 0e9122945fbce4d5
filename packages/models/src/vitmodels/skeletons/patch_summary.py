"""TNT's patch tokens: what the pixel tokens of a patch are, side by side, mapped to the width of the patches."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore import Embedding, NormFactory


class PatchSummary(Embedding):
    """Concatenate the pixel tokens of each patch and map them to one token, with a norm before and after.

    Args:
        width: Channels of the grid.
        pixel_width: Channels of a pixel token.
        side: Pixel tokens on a side of a patch.
        patch_size: Side of a patch in pixels of the image, from which ``map_size`` counts; ``side`` divides it.
        norm: Makes the two normalisations.

    Shapes:
        pixels (b, h, w, side**2, pixel_width) -> grid (b, h, w, width)

    Cost: h * w * side**2 * pixel_width * width multiply-adds.

    Source: Han et al., Transformer in Transformer, NeurIPS 2021, Eq. 2, with the norms of the public code.
    """

    def __init__(self, width: int, pixel_width: int, side: int, patch_size: int, norm: NormFactory) -> None:
        super().__init__()
        self.reduction, self.side = patch_size, side
        joint = side**2 * pixel_width
        self.norm, self.projection, self.projected_norm = norm(joint), nn.Linear(joint, width), norm(width)

    def forward(self, pixels: Float[Tensor, "b h w m d"]) -> Float[Tensor, "b h w c"]:
        """Return the patch tokens."""
        return self.projected_norm(self.projection(self.norm(pixels.flatten(3))))

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Rows and columns of the grid of an image of h x w pixels, whose pixel tokens are counted first, rounding up."""
        stride = self.reduction // self.side
        return -(-h // stride) // self.side, -(-w // stride) // self.side

    def macs(self, h: int, w: int) -> int:
        """One matrix product a patch."""
        return h * w * self.projection.weight.numel()

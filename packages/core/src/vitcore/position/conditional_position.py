"""Conditional positions: a depth-wise convolution tells each token where it is from what surrounds it."""

from jaxtyping import Float
from torch import Tensor

from vitcore.convolution import depthwise_convolution, on_map, same_padding
from vitcore.op import FeatureOp


class ConditionalPosition(FeatureOp):
    """Each token gets a position that depends on its neighbourhood; zero padding shows it where the borders are.

    It is a branch: the op returns the convolution alone and the skeleton adds it to the grid.

    Args:
        width: Channels of the grid.
        kernel_size: Side of the depth-wise filter in tokens; odd. Borders are padded with zeros. With 1 no token sees another,
            and positions cannot be told apart.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width): is left alone; the op returns None for it.

    Cost: h * w * width * kernel_size**2 multiply-adds.

    Raises:
        ValueError: ``kernel_size`` is even.

    Source: Chu et al., Conditional Positional Encodings for Vision Transformers, ICLR 2023 (there the positional encoding
    generator); used in every block by Wu et al., Pale Transformer, AAAI 2022.
    """

    def __init__(self, width: int, kernel_size: int = 3) -> None:
        super().__init__()
        same_padding("ConditionalPosition", kernel_size)
        self.convolution = depthwise_convolution(width, kernel_size)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Convolve the map."""
        return on_map(self.convolution, grid)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], None]:
        """Convolve the map; the prefix has no place on it and is left alone."""
        return self(grid), None

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the depth-wise convolution."""
        return h * w * self.convolution.weight.numel()

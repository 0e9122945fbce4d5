"""Global response normalisation: channels compete by the size of their response over the whole map."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.op import FeatureOp


def response_scale(grid: Float[Tensor, "b h w c"], epsilon: float) -> Float[Tensor, "b 1 1 c"]:
    """Return each channel's L2 norm over the map, divided by the mean of these norms; in float32 or better."""
    # Half precision overflows at 65,504: the norm of 56 x 56 tokens of size 1,170.
    norm = torch.linalg.vector_norm(
        grid, dim=(1, 2), keepdim=True, dtype=torch.promote_types(grid.dtype, torch.float32)
    )
    return norm / (norm.mean(dim=-1, keepdim=True) + epsilon)


class GlobalResponseNorm(FeatureOp):
    """Scale each channel by its share of the response over the whole map, and add the unscaled map.

    The sum is part of the mechanism: with ``weight`` and ``bias`` zero, as at the start, the op is the identity.

    Args:
        width: Channels of the grid.
        epsilon: Added to the mean norm.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: 2 * h * w * width elementwise multiply-adds: the squares of the norms, and the scale.

    Source: Woo et al., ConvNeXt V2, CVPR 2023, Eqs. 1-3 and Algorithm 1. The scale weight * share + 1 is computed once per
    channel and then applied to the map; the public code computes it for every entry.
    """

    def __init__(self, width: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight and bias to zero: the op starts as the identity."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Scale every channel."""
        scale = 1 + self.weight * response_scale(grid, self.epsilon)
        return torch.addcmul(self.bias.to(grid.dtype), grid, scale.to(grid.dtype))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Return 0: there is no matrix product."""
        return 0

    def elementwise_macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count squares and scale on every entry of the map."""
        return 2 * h * w * self.weight.numel()

"""Effective squeeze-and-excitation: a gate for each channel from one fully connected layer, without a bottleneck."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.op import ActivationFactory, FeatureOp


class EffectiveSqueezeExcite(FeatureOp):
    """Average the map, mix the channel means by one square matrix, and gate the map with the result.

    Args:
        width: Channels of the grid.
        gate: Makes the function that turns the logits into gates.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: width**2 multiply-adds, and h * w * width elementwise ones.

    Source: Lee and Park, CenterMask: Real-Time Anchor-Free Instance Segmentation, CVPR 2020, section 3.3 (eSE), with the
    hard sigmoid of its public code.
    """

    def __init__(self, width: int, gate: ActivationFactory = nn.Hardsigmoid) -> None:
        super().__init__()
        self.excite = nn.Linear(width, width)
        self.gate = gate()

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Gate every channel."""
        return grid * self.gate(self.excite(grid.mean(dim=(1, 2))))[:, None, None]

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the matrix product with the channel means."""
        return self.excite.in_features**2

    def elementwise_macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the gate on every entry of the map."""
        return h * w * self.excite.in_features

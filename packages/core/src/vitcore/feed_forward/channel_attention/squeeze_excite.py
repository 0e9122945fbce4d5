"""Squeeze-and-excitation: a gate for each channel, computed from the means of all channels through a bottleneck."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.op import ActivationFactory, FeatureOp


class SqueezeExcite(FeatureOp):
    """Average the map, squeeze the channels, excite them again, and gate the map with the result.

    Args:
        width: Channels of the grid.
        reduction: ``width // reduction`` units in the middle. (LocalViT's "SE-r" names this r: with 768 channels SE-192
            keeps 4.)
        gate: Makes the function that turns the logits into gates.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: 2 * width * (width // reduction) multiply-adds, and h * w * width elementwise ones.

    Raises:
        ValueError: ``reduction`` leaves no unit.

    Source: Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, Eqs. 2-4; the hard sigmoid gate as in MobileNetV3 and
    LocalViT.
    """

    def __init__(self, width: int, reduction: int = 4, gate: ActivationFactory = nn.Hardsigmoid) -> None:
        super().__init__()
        if not 1 <= reduction <= width:
            raise ValueError(
                "SqueezeExcite: reduction must lie in 1..width so that a unit is left, "
                f"got width={width}, reduction={reduction}."
            )
        self.squeeze = nn.Linear(width, width // reduction)
        self.excite = nn.Linear(width // reduction, width)
        self.gate = gate()

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Gate every channel."""
        logits = self.excite(torch.relu(self.squeeze(grid.mean(dim=(1, 2)))))
        return grid * self.gate(logits)[:, None, None]

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the two small matrix products."""
        return 2 * self.squeeze.in_features * self.squeeze.out_features

    def elementwise_macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the gate on every entry of the map."""
        return h * w * self.squeeze.in_features

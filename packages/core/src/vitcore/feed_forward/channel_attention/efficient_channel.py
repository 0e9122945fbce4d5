"""Efficient channel attention: a gate for each channel, computed from the means of the channels next to it."""

import math

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.op import ActivationFactory, FeatureOp


class EfficientChannel(FeatureOp):
    """Gate each channel by a one-dimensional convolution over the channel means: only neighbouring channels interact.

    Args:
        width: Channels of the grid.
        gate: Makes the function that turns the logits into gates: ``torch.nn.Sigmoid`` (ECA) or ``torch.nn.Hardsigmoid``
            (LocalViT's ECA-h).

    The kernel is the odd one of t and t + 1, t = int(abs(log2(width) + 1) / 2): 5 for 128 to 1,536 channels.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: width * kernel multiply-adds, and h * w * width elementwise ones.

    Source: Wang et al., ECA-Net, CVPR 2020, Eqs. 9 and 12 (gamma = 2, b = 1).
    """

    def __init__(self, width: int, gate: ActivationFactory = nn.Sigmoid) -> None:
        super().__init__()
        self.width = width
        t = int(abs((math.log2(width) + 1) / 2))
        kernel = t if t % 2 else t + 1
        self.mix = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
        self.gate = gate()

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Gate every channel."""
        logits = self.mix(grid.mean(dim=(1, 2)).unsqueeze(1))
        return grid * self.gate(logits).unsqueeze(1)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the convolution over channels."""
        return self.width * self.mix.kernel_size[0]

    def elementwise_macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the gate on every entry of the map."""
        return h * w * self.width

"""PVTv2's feed-forward: a depth-wise convolution between the two linear maps, no normalisation inside."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import depthwise_convolution, on_map, same_padding
from vitcore.feed_forward.mlp import hidden_width
from vitcore.op import ActivationFactory, FeatureOp


class ConvolutionalFeedForward(FeatureOp):
    """Expand, look at the neighbours, activate, contract.

    Linear - (activation) - k x k depth-wise convolution - activation - linear, all with biases. With a filter that is
    one at its centre and zero elsewhere this is the plain feed-forward of transformers. Prefix tokens are refused: they have
    no place in the convolution.

    Args:
        width: Channels of the grid.
        ratio: Hidden channels as a multiple of ``width``; the product is rounded down.
        kernel_size: Side of the depth-wise filter in tokens; odd. Borders are padded with zeros.
        activation: Makes the non-linearity after the convolution.
        activation_before: Makes the non-linearity before the convolution: ``torch.nn.ReLU`` in PVTv2's linear variant,
            ``torch.nn.Identity`` elsewhere.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: h * w * hidden * (2 * width + kernel_size**2) multiply-adds.

    Raises:
        ValueError: ``kernel_size`` is even, or ``ratio`` leaves no hidden channel.

    Source: Wang et al., PVT v2: Improved Baselines with Pyramid Vision Transformer, CVMJ 2022, "Convolutional Feed-Forward";
    the ReLU of the linear variant is found in the public code only.
    """

    def __init__(
        self,
        width: int,
        ratio: float = 4.0,
        kernel_size: int = 3,
        activation: ActivationFactory = nn.GELU,
        activation_before: ActivationFactory = nn.Identity,
    ) -> None:
        super().__init__()
        same_padding("ConvolutionalFeedForward", kernel_size)
        hidden = hidden_width("ConvolutionalFeedForward", width, ratio)
        self.expand = nn.Linear(width, hidden)
        self.activation_before = activation_before()
        self.middle = depthwise_convolution(hidden, kernel_size)
        self.activation = activation()
        self.contract = nn.Linear(hidden, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Apply the feed-forward to the map."""
        hidden = on_map(self.middle, self.activation_before(self.expand(grid)))
        return self.contract(self.activation(hidden))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count two matrix products and the depth-wise convolution."""
        return h * w * (2 * self.expand.weight.numel() + self.middle.weight.numel())

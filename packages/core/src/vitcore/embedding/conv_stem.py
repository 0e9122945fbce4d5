"""A stem of small strided convolutions instead of one large patch."""

from itertools import pairwise
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import on_map
from vitcore.embedding.embedding import Embedding
from vitcore.norm import GridBatchNorm2d, build_norm, normalise
from vitcore.op import ActivationFactory, NormFactory


class ConvStem(Embedding):
    """Halve the image again and again by 3 x 3 convolutions - norm - activation, doubling the channels.

    Args:
        in_chans: Channels of the image.
        width: Channels of the grid and of the last strided convolution; the one before has half of them, and so on.
        layers: Number of convolutions with stride 2.
        last: ``pointwise`` ends with a 1 x 1 convolution with bias, ``none`` with the last activation.
        norm: Makes the normalisations between convolution and activation.
        activation: Makes the non-linearities.
        last_norm: Makes a normalisation of the grid.
        bias: Number of bias terms per channel of the 3 x 3 convolutions: 0 or 1.

    Shapes:
        image (b, in_chans, H, W) -> grid (b, ceil(H / 2**layers), ceil(W / 2**layers), width)

    Cost: for an output of h x w tokens, layer i of 1..layers has 4**(layers - i) * h * w places of 9 * c_in * c_out
    multiply-adds, exactly so if 2**layers divides H and W; the 1 x 1 convolution adds h * w * width**2.

    Raises:
        ValueError: ``layers`` is not positive, or 2**(layers - 1) does not divide ``width``.

    Source: Xiao et al., Early Convolutions Help Transformers See Better, NeurIPS 2021, section 4 (``pointwise``, ReLU); the
    same with ReLU6 in Huang et al., Shuffle Transformer, 2021. Xiao et al. choose the widths per model. Two convolutions with
    biases and one norm behind them are the tokenizer of Hassani et al., Neighborhood Attention Transformer, CVPR 2023.
    """

    def __init__(
        self,
        in_chans: int,
        width: int,
        layers: int = 2,
        last: Literal["none", "pointwise"] = "pointwise",
        norm: NormFactory = GridBatchNorm2d,
        activation: ActivationFactory = nn.ReLU,
        last_norm: NormFactory = nn.Identity,
        bias: int = 0,
    ) -> None:
        super().__init__()
        if layers < 1 or width % 2 ** (layers - 1):
            raise ValueError(
                f"ConvStem: width must be divisible by 2**(layers - 1), layers >= 1, got width={width}, layers={layers}."
            )
        self.reduction = 2**layers
        widths = [in_chans, *(width // 2 ** (layers - 1 - i) for i in range(layers))]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=bias > 0), build_norm(norm, wide), activation()
                )
                for narrow, wide in pairwise(widths)
            )
        )
        self.last = nn.Conv2d(width, width, 1) if last == "pointwise" else nn.Identity()
        self.norm = build_norm(last_norm, width)

    def forward(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b h w d"]:
        """Embed the image."""
        # Copying the image once is less work than the copies of wider grids that norms would make otherwise.
        grid = image.permute(0, 2, 3, 1).contiguous()
        for layer in self.layers:
            convolution, norm, activation = layer.children()
            grid = activation(normalise(norm, on_map(convolution, grid)))
        return normalise(self.norm, on_map(self.last, grid))

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of the grid of an image of h x w pixels."""
        return -(-h // self.reduction), -(-w // self.reduction)

    def macs(self, h: int, w: int) -> int:
        """Count one matrix product for each place and layer, for an image of exactly 2**layers * (h, w) pixels."""
        filters = [weight for weight in self.layers.parameters() if weight.ndim == 4]
        total = sum(4**i * h * w * weight.numel() for i, weight in enumerate(reversed(filters)))
        return total + h * w * sum(weight.numel() for weight in self.last.parameters() if weight.ndim == 4)

"""T2T's stem: overlapping patches become tokens, step by step, with attention between the steps."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from vitcore import Embedding, FeatureOp, Mlp, NormFactory, OpFactory, PerformerAttention, SoftSplit
from vitcore.convolution import strided_size
from vitcore.norm import build_norm, normalise

TokenMixerFactory: TypeAlias = Callable[[int, int], nn.Module]
"""Makes an attention that changes the width, for (in_width, width): ``PerformerAttention`` or ``TokenAttention``."""

SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))
"""Kernel size, stride and padding of the three soft splits."""


class TokenLayer(nn.Module):
    """A transformer layer whose mixer changes the width and has its own skip connection.

    Args:
        in_width: Channels of the input grid.
        width: Channels of the output grid.
        mixer: Makes the attention.
        feed_forward: Makes the feed-forward, a residual branch.
        norm: Makes the normalisation in front of the attention.
        feed_forward_norm: Makes the normalisation in front of the feed-forward.

    Shapes:
        grid (b, h, w, in_width) -> (b, h, w, width)
    """

    def __init__(
        self,
        in_width: int,
        width: int,
        mixer: TokenMixerFactory,
        feed_forward: OpFactory,
        norm: NormFactory,
        feed_forward_norm: NormFactory,
    ) -> None:
        super().__init__()
        self.norm = build_norm(norm, in_width)
        self.mixer: Any = mixer(in_width, width)
        self.feed_forward_norm = build_norm(feed_forward_norm, width)
        self.feed_forward: FeatureOp = feed_forward(width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w d"]:
        """Attend over the whole grid, then transform every token."""
        grid = self.mixer(normalise(self.norm, grid))
        return grid + self.feed_forward(normalise(self.feed_forward_norm, grid))

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds of attention and feed-forward."""
        return self.mixer.macs(h, w) + self.feed_forward.macs(h, w)


class TokensToToken(Embedding):
    """Soft splits of the image: a transformer layer follows each but the last, which a linear map follows.

    The splits take 7 x 7 pixels every 4, then twice 3 x 3 tokens every 2: a sixteenth of the rows and of the columns is left, and
    neighbouring tokens share pixels. Splits copy; only the layers and the linear map compute.

    Args:
        in_chans: Channels of the image.
        width: Channels of the grid.
        token_width: Channels of the tokens between the splits.
        mixer: Makes the attention of a layer, for (in_width, token_width).
        feed_forward: Makes the feed-forward of a layer, for (token_width).
        norm: Makes the normalisation in front of the attention.
        feed_forward_norm: Makes the normalisation in front of the feed-forward; ``torch.nn.Identity`` for none.

    Shapes:
        image (b, in_chans, H, W) -> grid (b, h, w, width); h = H / 16 and w = W / 16 where 16 divides, see ``map_size``

    Cost: the layers on grids of 4 * h x 4 * w and 2 * h x 2 * w tokens, and h * w * 9 * token_width * width multiply-adds.

    Raises:
        ValueError: The image is smaller than a patch.

    Source: Yuan et al., Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet, ICCV 2021, section 3.1.
    """

    def __init__(
        self,
        in_chans: int,
        width: int,
        token_width: int = 64,
        mixer: TokenMixerFactory = PerformerAttention,
        feed_forward: OpFactory = Mlp,
        norm: NormFactory = nn.LayerNorm,
        feed_forward_norm: NormFactory = nn.LayerNorm,
    ) -> None:
        super().__init__()
        widths = (in_chans, *(token_width for _ in SPLITS[1:]))
        splits = [SoftSplit(narrow, *split) for narrow, split in zip(widths, SPLITS, strict=True)]
        self.reduction = math.prod(split.reduction for split in splits)
        self.splits = nn.ModuleList(splits)
        self.layers = nn.ModuleList(
            TokenLayer(split.width, token_width, mixer, feed_forward, norm, feed_forward_norm) for split in splits[:-1]
        )
        self.projection = nn.Linear(splits[-1].width, width)

    def forward(self, image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b h w d"]:
        """Embed the image."""
        grid = image.permute(0, 2, 3, 1)
        for split, layer in zip(self.splits, (*self.layers, self.projection), strict=True):
            grid = layer(split(grid))
        return grid

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Rows and columns of the grid of an image of h x w pixels."""
        for kernel_size, stride, padding in SPLITS:
            h, w = strided_size(h, w, kernel_size, stride, padding)
        return h, w

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds of layers and linear map, for an image of exactly 16 * (h, w) pixels."""
        sides = zip((4, 2), self.layers, strict=True)
        layers = sum(layer.macs(n * h, n * w) for n, layer in sides)  # type: ignore[operator]
        return layers + h * w * self.projection.weight.numel()

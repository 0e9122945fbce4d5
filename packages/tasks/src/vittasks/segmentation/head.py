"""What the heads of segmentation share: their convolutions, the classifier of every pixel, and the type of their slot."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, interpolate
from torchvision.ops import Conv2dNormActivation

from vitmodels.skeletons.initial import draw_seed, initialise

HeadFactory: TypeAlias = Callable[[Sequence[int], int], nn.Module]
"""Makes a head from the widths of the maps and the number of classes: maps (b, width, h, w), finest first, to logits."""


class HeadBatchNorm(nn.BatchNorm2d):
    """BatchNorm that uses its running statistics for a batch with a single value per channel, which has no variance.

    That happens with one image whose map is pooled to one place; ``torch.nn.BatchNorm2d`` refuses it in training.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise a map (b, c, h, w)."""
        if self.training and input.numel() == input.shape[1]:
            return batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)


def convolution(width: int, channels: int, kernel_size: int) -> Conv2dNormActivation:
    """Return a convolution without bias, a BatchNorm and a ReLU; the map keeps its size."""
    return Conv2dNormActivation(width, channels, kernel_size, norm_layer=HeadBatchNorm, inplace=False)


def resize(grid: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a map (b, c, h, w) to rows and columns, bilinear, corners not aligned; a map of that size stays as it is."""
    if tuple(grid.shape[2:]) == tuple(size):
        return grid
    return interpolate(grid, size=list(size), mode="bilinear", align_corners=False)


class PixelClassifier(nn.Sequential):
    """Dropout of whole channels, then a 1 x 1 convolution to the classes.

    Args:
        channels: Channels of the map.
        num_classes: Number of classes.
        dropout: Probability that a channel is dropped in training.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__(nn.Dropout2d(dropout), nn.Conv2d(channels, num_classes, 1))


def initialise_head(head: nn.Module, classifier_std: float = 0.01) -> None:
    """Draw the initial weights of a head from its own seed.

    Convolutions before a ReLU, which have no bias, get a normal of variance 2 / fan-out. The classifier gets a normal of
    standard deviation ``classifier_std`` and a bias of zero.
    """

    @torch.no_grad()
    def draw(module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            if module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            else:
                nn.init.normal_(module.weight, std=classifier_std)
                nn.init.zeros_(module.bias)

    initialise(head, draw_seed(), draw)

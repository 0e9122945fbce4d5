"""UPerNet: pyramid pooling on the coarsest map, then a feature pyramid whose levels are concatenated."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vittasks.segmentation.head import PixelClassifier, convolution, initialise_head, resize


class PyramidPooling(nn.Module):
    """Concatenate the map with averages of its parts: it is pooled to several sizes, convolved and resized back.

    Args:
        width: Channels of the map.
        channels: Channels of every pooled map and of the result.
        pool_sizes: Rows, and as many columns, that the map is pooled to.

    Shapes:
        map (b, width, h, w) -> (b, channels, h, w)

    Source: Zhao et al., Pyramid Scene Parsing Network, CVPR 2017, Fig. 3.
    """

    def __init__(self, width: int, channels: int, pool_sizes: Sequence[int]) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), convolution(width, channels, 1)) for size in pool_sizes
        )
        self.merge = convolution(width + len(pool_sizes) * channels, channels, 3)

    def forward(self, grid: Tensor) -> Tensor:
        """Return the merged map."""
        pooled = [resize(pool(grid), grid.shape[2:]) for pool in self.pools]
        return self.merge(torch.cat([grid, *pooled], dim=1))


class UPerNet(nn.Module):
    """Pyramid pooling, lateral convolutions added from coarse to fine, and a classifier on all levels side by side.

    Args:
        widths: Channels of the maps, finest first.
        num_classes: Number of classes.
        channels: Channels of every level.
        pool_sizes: Rows, and as many columns, that the coarsest map is pooled to.
        dropout: Probability that a channel is dropped in front of the classifier in training.
        classifier_std: Standard deviation of the classifier's initial weights. The papers' 0.01 goes with their small learning
            rates; with rates of 1e-3 and more the classes then stay alike for hundreds of steps, and 0.1 avoids that.

    Shapes:
        maps [(b, width, h, w), ...] -> logits (b, num_classes, h, w) of the finest map's size

    Source: Xiao et al., Unified Perceptual Parsing for Scene Understanding, ECCV 2018, Fig. 4, as mmsegmentation's ``UPerHead``
    builds it.
    """

    def __init__(
        self,
        widths: Sequence[int],
        num_classes: int,
        channels: int = 512,
        pool_sizes: tuple[int, ...] = (1, 2, 3, 6),
        dropout: float = 0.1,
        classifier_std: float = 0.01,
    ) -> None:
        super().__init__()
        self.pooling = PyramidPooling(widths[-1], channels, pool_sizes)
        self.laterals = nn.ModuleList(convolution(width, channels, 1) for width in widths[:-1])
        self.outputs = nn.ModuleList(convolution(channels, channels, 3) for _ in widths[:-1])
        self.merge = convolution(len(widths) * channels, channels, 3)
        self.classifier = PixelClassifier(channels, num_classes, dropout)
        initialise_head(self, classifier_std)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the logits of every place of the finest map."""
        levels = [lateral(one) for lateral, one in zip(self.laterals, maps[:-1], strict=True)]
        levels.append(self.pooling(maps[-1]))
        for finer in range(len(levels) - 2, -1, -1):
            levels[finer] = levels[finer] + resize(levels[finer + 1], levels[finer].shape[2:])
        smoothed = [output(level) for output, level in zip(self.outputs, levels[:-1], strict=True)]
        size = levels[0].shape[2:]
        together = torch.cat([resize(level, size) for level in (*smoothed, levels[-1])], dim=1)
        return self.classifier(self.merge(together))

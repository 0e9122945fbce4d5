"""Semantic FPN: a feature pyramid whose levels are brought to the finest one's size and added."""

from collections.abc import Sequence

from torch import Tensor, nn

from vittasks.dense.feature_pyramid import FeaturePyramid
from vittasks.segmentation.head import PixelClassifier, convolution, initialise_head, resize


class SemanticFPN(nn.Module):
    """A feature pyramid, a branch of convolutions for each level, and a classifier on the sum of the branches.

    The branch of the finest level is one 3 x 3 convolution with BatchNorm and ReLU. The branch of level k is k such convolutions,
    each followed by bilinear upsampling by 2. Where odd sizes do not double to the finest map's size, the branch is resized to
    it.

    Args:
        widths: Channels of the maps, finest first, each half the size of the previous one.
        num_classes: Number of classes.
        pyramid_channels: Channels of the feature pyramid.
        channels: Channels of the branches.
        dropout: Probability that a channel is dropped in front of the classifier in training.
        classifier_std: Standard deviation of the classifier's initial weights. The papers' 0.01 goes with their small learning
            rates; with rates of 1e-3 and more the classes then stay alike for hundreds of steps, and 0.1 avoids that.

    Shapes:
        maps [(b, width, h, w), ...] -> logits (b, num_classes, h, w) of the finest map's size

    Source: Kirillov et al., Panoptic Feature Pyramid Networks, CVPR 2019, section 3, as mmsegmentation's ``FPNHead`` builds it
    (BatchNorm for GroupNorm, no activation behind the sum).
    """

    def __init__(
        self,
        widths: Sequence[int],
        num_classes: int,
        pyramid_channels: int = 256,
        channels: int = 128,
        dropout: float = 0.1,
        classifier_std: float = 0.01,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_branch(level, pyramid_channels, channels) for level, _ in enumerate(widths))
        self.classifier = PixelClassifier(channels, num_classes, dropout)
        initialise_head(self, classifier_std)
        self.pyramid = FeaturePyramid(widths, pyramid_channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the logits of every place of the finest map."""
        levels = self.pyramid.levels(maps)
        size = levels[0].shape[2:]
        total = self.branches[0](levels[0])
        for branch, level in zip(self.branches[1:], levels[1:], strict=True):
            total = total + resize(branch(level), size)
        return self.classifier(total)


def _branch(level: int, width: int, channels: int) -> nn.Sequential:
    if level == 0:
        return nn.Sequential(convolution(width, channels, 3))
    doubled: list[nn.Module] = []
    for number in range(level):
        doubled.append(convolution(channels if number else width, channels, 3))
        doubled.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
    return nn.Sequential(*doubled)

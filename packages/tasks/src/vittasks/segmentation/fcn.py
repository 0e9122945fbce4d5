"""The fully convolutional head on a single map, the auxiliary head in UPerNet's recipe."""

from collections.abc import Sequence

from torch import Tensor, nn

from vittasks.segmentation.head import PixelClassifier, convolution, initialise_head


class FCN(nn.Module):
    """One 3 x 3 convolution with BatchNorm and ReLU on one map, and a classifier.

    Args:
        widths: Channels of the maps, finest first.
        num_classes: Number of classes.
        level: Which map is read, counted from the finest, which is 0.
        channels: Channels between the convolution and the classifier.
        dropout: Probability that a channel is dropped in front of the classifier in training.
        classifier_std: Standard deviation of the classifier's initial weights. The papers' 0.01 goes with their small learning
            rates; with rates of 1e-3 and more the classes then stay alike for hundreds of steps, and 0.1 avoids that.

    Shapes:
        maps [(b, width, h, w), ...] -> logits (b, num_classes, h, w) of the size of the map that is read

    Raises:
        ValueError: There is no such map.

    Source: Long et al., Fully Convolutional Networks for Semantic Segmentation, CVPR 2015, as mmsegmentation's ``FCNHead`` builds
    it for UPerNet.
    """

    def __init__(
        self,
        widths: Sequence[int],
        num_classes: int,
        level: int = 2,
        channels: int = 256,
        dropout: float = 0.1,
        classifier_std: float = 0.01,
    ) -> None:
        super().__init__()
        if not 0 <= level < len(widths):
            raise ValueError(
                f"FCN: level must lie in 0..{len(widths) - 1}, since there are {len(widths)} maps, got {level=}."
            )
        self.level = level
        self.convolution = convolution(widths[level], channels, 3)
        self.classifier = PixelClassifier(channels, num_classes, dropout)
        initialise_head(self, classifier_std)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the logits of every place of the map that is read."""
        return self.classifier(self.convolution(maps[self.level]))

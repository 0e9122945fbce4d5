"""The backbone of a detector: a pyramid of vitmodels or timm, and the feature pyramid on its maps."""

from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from vittasks.dense.backbone import DenseBackbone
from vittasks.dense.feature_pyramid import FeaturePyramid, he_weights, xavier_weights
from vittasks.detection.rules import Rule


class DetectorBackbone(nn.Module):
    """The backbone as torchvision's detectors read it: levels with equal channels, by name, "0" being the finest.

    Args:
        maps: The pyramid as a dense backbone.
        channels: Channels of every level.
        extra_levels: Adds coarser levels.
        initial_weights: Which library's initial weights the levels have, see ``RetinaNetRules``; None for mmdetection's.

    Shapes:
        image (b, c, H, W) -> name -> level (b, channels, h, w)
    """

    def __init__(
        self,
        maps: DenseBackbone,
        channels: int,
        extra_levels: ExtraFPNBlock | None,
        initial_weights: Rule | None = None,
    ) -> None:
        super().__init__()
        self.maps = maps
        weights = he_weights if initial_weights == "torchvision" else xavier_weights
        self.pyramid = FeaturePyramid(maps.widths, channels, extra_levels, weights)
        self.out_channels = channels

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the levels."""
        levels = self.pyramid.levels(self.maps(image))
        return {str(number): level for number, level in enumerate(levels)}

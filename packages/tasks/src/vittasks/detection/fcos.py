"""FCOS on any pyramid: torchvision's."""

from typing import Literal

from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.fcos import FCOSHead

from vitcore import NormFactory
from vittasks.dense.backbone import DenseBackbone
from vittasks.dense.feature_pyramid import ConvolvedLevels
from vittasks.detection.anchors import ExactAnchors
from vittasks.detection.backbone import DetectorBackbone
from vittasks.detection.retinanet import with_two_more


class FCOS(detection.FCOS):
    """torchvision's FCOS on a pyramid: every place predicts a class and its distances to the sides of a box.

    Args:
        pyramid: A pyramid, image (b, c, H, W) to maps.
        num_classes: Number of classes, the background not counted.
        levels: The maps that are read, 0 for the finest.
        extra_levels: ``two`` coarser levels beside them, or ``none``.
        channels: Channels of the levels, a multiple of 32, because the norms have 32 groups; with just 32, no level may be 1 x 1.
        convolutions: Convolutions in each tower, each with GroupNorm and ReLU.
        map_norm: Makes a normalisation of each map, see ``vittasks.DenseBackbone``.
        short_side: Images are resized to this shorter side, in pixels; of several, one is drawn in training.
        long_side: Largest longer side, in pixels.
        score_threshold: Boxes with a lower score are left out.
        mean: Mean of each channel of an image from 0 to 1, subtracted.
        std: Standard deviation of each channel, divided by.

    Shapes:
        [image (c, H, W), ...] and targets -> losses in training; else boxes, scores and labels of each image

    Raises:
        ValueError: ``channels`` is no multiple of 32.

    Source: Tian et al., FCOS: Fully Convolutional One-Stage Object Detection, ICCV 2019.
    """

    def __init__(
        self,
        pyramid: nn.Module,
        num_classes: int,
        levels: tuple[int, ...] = (1, 2, 3),
        extra_levels: Literal["two", "none"] = "two",
        channels: int = 256,
        convolutions: int = 4,
        map_norm: NormFactory = nn.Identity,
        short_side: tuple[int, ...] = (800,),
        long_side: int = 1333,
        score_threshold: float = 0.05,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
    ) -> None:
        if channels % 32:
            raise ValueError(
                f"FCOS: channels must be a multiple of 32, because its norms have 32 groups, got {channels=}."
            )
        maps = DenseBackbone(pyramid, levels, map_norm)
        more = extra_levels == "two"
        strides = with_two_more(maps.strides) if more else maps.strides
        extra = ConvolvedLevels(maps.widths[-1], channels) if more else None
        super().__init__(
            DetectorBackbone(maps, channels, extra),
            num_classes,
            short_side,
            long_side,
            list(mean),
            list(std),
            anchor_generator=ExactAnchors(strides, [[stride] for stride in strides], (1.0,)),
            head=FCOSHead(channels, 1, num_classes, convolutions),
            score_thresh=score_threshold,
        )

    def counted_pass(self, images: Tensor) -> None:
        """Run backbone and head on images (b, c, H, W) of their final size."""
        self.head(list(self.backbone(images).values()))

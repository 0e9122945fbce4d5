"""RetinaNet on any pyramid: torchvision's, or with the rules of the papers' recipes."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.retinanet import RetinaNetHead

from vitcore import NormFactory
from vittasks.dense.backbone import DenseBackbone
from vittasks.dense.feature_pyramid import ConvolvedLevels
from vittasks.detection.anchors import RATIOS, ExactAnchors, GreedyMatcher, rounded_anchors
from vittasks.detection.backbone import DetectorBackbone
from vittasks.detection.rules import RetinaNetRules, Rule, chosen


class BatchMeanHead(RetinaNetHead):
    """RetinaNet's head whose losses are divided by the positive anchors of the whole batch.

    torchvision divides by those of each image and averages over the images. An image without a positive anchor counts as one.
    """

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """Return the loss of classes and of boxes, given what each anchor was matched to."""
        counts = [max(1, int((matched >= 0).sum())) for matched in matched_idxs]
        total: dict[str, Any] = {}
        for number, (target, own, matched) in enumerate(zip(targets, anchors, matched_idxs, strict=True)):
            outputs = {name: one[number : number + 1] for name, one in head_outputs.items()}
            for name, loss in super().compute_loss([target], outputs, [own], [matched]).items():
                total[name] = total.get(name, 0) + loss * (counts[number] / sum(counts))
        return total


class RetinaNet(detection.RetinaNet):
    """torchvision's RetinaNet on a pyramid.

    Args:
        pyramid: A pyramid, image (b, c, H, W) to maps.
        num_classes: Number of classes, the background not counted.
        levels: The maps that are read, 0 for the finest; two coarser levels are added.
        channels: Channels of the levels.
        map_norm: Makes a normalisation of each map, see ``vittasks.DenseBackbone``.
        tower_norm: Makes a normalisation after each convolution of the towers, for (channels); None for none.
        anchor_scale: Side of the smallest anchors, in strides of their level.
        recipe: Which library's rules hold where ``rules`` states none: ``mmdet``, as in the papers' recipes, or ``torchvision``.
        rules: Points in which another rule than the recipe's holds, see ``vittasks.RetinaNetRules``.
        short_side: Images are resized to this shorter side, in pixels; of several, one is drawn in training.
        long_side: Largest longer side, in pixels.
        mean: Mean of each channel of an image from 0 to 1, subtracted.
        std: Standard deviation of each channel, divided by.

    Shapes:
        [image (c, H, W), ...] and targets -> losses in training; else boxes, scores and labels of each image

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017; ``mmdet`` is RetinaNet 1x of PVT.
    """

    def __init__(
        self,
        pyramid: nn.Module,
        num_classes: int,
        levels: tuple[int, ...] = (1, 2, 3),
        channels: int = 256,
        map_norm: NormFactory = nn.Identity,
        tower_norm: Callable[[int], nn.Module] | None = None,
        anchor_scale: float = 4.0,
        recipe: Rule = "mmdet",
        rules: RetinaNetRules = RetinaNetRules(),  # noqa: B008 (never changed)
        short_side: tuple[int, ...] = (800,),
        long_side: int = 1333,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
    ) -> None:
        rules = chosen(rules, recipe)
        maps = DenseBackbone(pyramid, levels, map_norm)
        strides = with_two_more(maps.strides)
        sizes = [[anchor_scale * stride * 2 ** (octave / 3) for octave in range(3)] for stride in strides]
        head = BatchMeanHead if rules.loss_mean == "mmdet" else RetinaNetHead
        exact = rules.anchors == "mmdet"
        super().__init__(
            DetectorBackbone(maps, channels, _coarser_levels(maps.widths[-1], channels, rules), rules.initial_weights),
            num_classes,
            short_side,
            long_side,
            list(mean),
            list(std),
            anchor_generator=ExactAnchors(strides, sizes, RATIOS) if exact else rounded_anchors(sizes),
            head=head(channels, 3 * len(RATIOS), num_classes, norm_layer=tower_norm),
            proposal_matcher=GreedyMatcher(0.5, 0.4) if rules.matching == "mmdet" else None,
            detections_per_img=100 if rules.kept_boxes == "mmdet" else 300,
        )

    def counted_pass(self, images: Tensor) -> None:
        """Run backbone and head on images (b, c, H, W) of their final size."""
        self.head(list(self.backbone(images).values()))


def with_two_more(strides: Sequence[int]) -> list[int]:
    """Return the strides of levels with those of two coarser ones."""
    return [*strides, 2 * strides[-1], 4 * strides[-1]]


def _coarser_levels(width: int, channels: int, rules: RetinaNetRules) -> ConvolvedLevels:
    of_level = rules.p6 == "torchvision" and width == channels
    activation = nn.Identity if rules.p7 == "mmdet" else nn.ReLU
    return ConvolvedLevels(width, channels, "level" if of_level else "backbone", activation)

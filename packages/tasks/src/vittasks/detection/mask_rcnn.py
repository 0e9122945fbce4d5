"""Mask R-CNN on any pyramid: torchvision's, or with the rules of the papers' recipes."""

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from vitcore import NormFactory
from vittasks.dense.backbone import DenseBackbone
from vittasks.detection.anchors import RATIOS, ExactAnchors, GreedyMatcher, rounded_anchors
from vittasks.detection.backbone import DetectorBackbone
from vittasks.detection.roi_heads import (
    AbsoluteErrorProposals,
    AlignedPool,
    BoxPredictor,
    MaskPredictor,
    RegionHeads,
    recipe_weights,
)
from vittasks.detection.rules import MaskRCNNRules, Rule, chosen

COUNTED_MASKS = 100
"""Boxes whose masks papers count as the cost of an image; they count the classes of all proposals."""


class MaskRCNN(GeneralizedRCNN):
    """torchvision's Mask R-CNN on a pyramid.

    Args:
        pyramid: A pyramid, image (b, c, H, W) to maps.
        num_classes: Number of classes, the background not counted. Labels of targets and results start at 1.
        levels: The maps that are read, 0 for the finest; a coarser level is added.
        channels: Channels of the levels and of the mask's convolutions.
        box_pool: Rows and columns that a box is pooled to, to find its class.
        box_channels: Channels between the two linear maps that read a box.
        mask_pool: Rows and columns that a box is pooled to, to find its mask, which has twice as many.
        mask_convolutions: Convolutions of 3 x 3 in the head of the masks.
        map_norm: Makes a normalisation of each map, see ``vittasks.DenseBackbone``.
        anchor_scale: Side of the anchors, in strides of their level.
        proposals: Most boxes of an image that the second part reads; in training as many, or twice as many, see ``rules``.
        sampled_boxes: Boxes of an image that the second part is trained with, a quarter of them on objects if there are as many.
        recipe: Which library's rules hold where ``rules`` states none: ``mmdet``, as in the papers' recipes, or ``torchvision``.
        rules: Points in which another rule than the recipe's holds, see ``vittasks.MaskRCNNRules``.
        short_side: Images are resized to this shorter side, in pixels; of several, one is drawn in training.
        long_side: Largest longer side, in pixels.
        mean: Mean of each channel of an image from 0 to 1, subtracted.
        std: Standard deviation of each channel, divided by.

    Shapes:
        [image (c, H, W), ...] and targets -> losses in training; else boxes, scores, labels and masks of each image

    Source: He et al., Mask R-CNN, ICCV 2017; ``mmdet`` is Mask R-CNN 1x of PVT and Swin.
    """

    def __init__(
        self,
        pyramid: nn.Module,
        num_classes: int,
        levels: tuple[int, ...] = (0, 1, 2, 3),
        channels: int = 256,
        box_pool: int = 7,
        box_channels: int = 1024,
        mask_pool: int = 14,
        mask_convolutions: int = 4,
        map_norm: NormFactory = nn.Identity,
        anchor_scale: float = 8.0,
        proposals: int = 1000,
        sampled_boxes: int = 512,
        recipe: Rule = "mmdet",
        rules: MaskRCNNRules = MaskRCNNRules(),  # noqa: B008 (never changed)
        short_side: tuple[int, ...] = (800,),
        long_side: int = 1333,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
    ) -> None:
        rules = chosen(rules, recipe)
        maps = DenseBackbone(pyramid, levels, map_norm)
        backbone = DetectorBackbone(maps, channels, LastLevelMaxPool(), rules.initial_weights)
        heads = RegionHeads(
            (_pool(maps.strides, box_pool, rules), *_box_parts(channels, box_pool, box_channels, num_classes, rules)),
            (_pool(maps.strides, mask_pool, rules), *_mask_parts(channels, mask_convolutions, num_classes, rules)),
            sampled_boxes,
            rules.box_loss,  # type: ignore[arg-type]
            rules.mask_targets,  # type: ignore[arg-type]
        )
        transform = GeneralizedRCNNTransform(short_side, long_side, list(mean), list(std))
        first = _proposals(maps.strides, channels, anchor_scale, proposals, rules)
        super().__init__(backbone, first, heads, transform)
        self.proposals = proposals

    def counted_pass(self, images: Tensor) -> None:
        """Run every layer on images (b, c, H, W) of their final size, the heads on all proposals and at most 100 masks."""
        levels = list(self.backbone(images).values())
        self.rpn.head(levels)
        heads, channels = self.roi_heads, self.backbone.out_channels
        boxes, masks = (
            images.new_zeros(number, channels, *pool.output_size)
            for number, pool in (
                (self.proposals, heads.box_roi_pool),
                (min(self.proposals, COUNTED_MASKS), heads.mask_roi_pool),
            )
        )
        heads.box_predictor(heads.box_head(boxes))
        heads.mask_predictor(heads.mask_head(masks))


def _proposals(
    strides: list[int], channels: int, scale: float, most: int, rules: MaskRCNNRules
) -> RegionProposalNetwork:
    """Return the first part: one size of anchors a level, 256 drawn from an image, 2000 boxes a level before they are thinned."""
    strides = [*strides, 2 * strides[-1]]
    sizes = [[scale * stride] for stride in strides]
    anchors: AnchorGenerator = (
        ExactAnchors(strides, sizes, RATIOS) if rules.anchors == "mmdet" else rounded_anchors(sizes)
    )
    network = (AbsoluteErrorProposals if rules.box_loss == "mmdet" else RegionProposalNetwork)(
        anchors,
        RPNHead(channels, len(RATIOS)),
        0.7,
        0.3,
        256,
        0.5,
        {"training": 2000, "testing": 1000},
        {"training": most if rules.proposals == "mmdet" else 2 * most, "testing": most},
        0.7,
    )
    if rules.matching == "mmdet":
        network.proposal_matcher = GreedyMatcher(0.7, 0.3, lowest=0.3)
    return network


def _box_parts(
    channels: int, side: int, box_channels: int, num_classes: int, rules: MaskRCNNRules
) -> tuple[TwoMLPHead, FastRCNNPredictor]:
    head = TwoMLPHead(channels * side**2, box_channels)
    own = rules.outputs == "mmdet"
    predictor = BoxPredictor(box_channels, num_classes) if own else FastRCNNPredictor(box_channels, num_classes + 1)
    if rules.initial_weights == "mmdet":
        recipe_weights(head, predictor)
    return head, predictor


def _mask_parts(
    channels: int, convolutions: int, num_classes: int, rules: MaskRCNNRules
) -> tuple[MaskRCNNHeads, MaskRCNNPredictor]:
    head = MaskRCNNHeads(channels, (channels,) * convolutions, 1)
    if rules.outputs == "mmdet":
        return head, MaskPredictor(channels, channels, num_classes)
    return head, MaskRCNNPredictor(channels, channels, num_classes + 1)


def _pool(strides: list[int], side: int, rules: MaskRCNNRules) -> MultiScaleRoIAlign:
    if rules.pooling == "mmdet":
        return AlignedPool(strides, side)
    return MultiScaleRoIAlign([str(number) for number, _ in enumerate(strides)], side, sampling_ratio=2)

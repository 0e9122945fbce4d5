"""Mask R-CNN on any pyramid: torchvision's, or with the rules of the papers' recipes."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from vitcore import NormFactory
from vittasks.dense.backbone import DenseBackbone
from vittasks.detection.anchors import ExactAnchors, GreedyMatcher
from vittasks.detection.backbone import DetectorBackbone

RATIOS = (0.5, 1.0, 2.0)
COUNTED_BOXES, COUNTED_MASKS = 1000, 100
"""Boxes whose classes and whose masks papers count as the cost of an image."""


class AlignedPool(MultiScaleRoIAlign):
    """Pool each box from the level of its size, half a pixel to the left and above of torchvision's, with as many samples as fit.

    A box of area a is pooled from level floor(log2(sqrt(a) / 56)), 0 for the finest.

    Args:
        strides: Pixels between two places of each level that is pooled from.
        side: Rows and columns of the result.

    Source: mmdetection's ``SingleRoIExtractor`` with ``RoIAlign``. torchvision's detectors offer neither alignment nor samples.
    """

    def __init__(self, strides: list[int], side: int) -> None:
        super().__init__([str(number) for number, _ in enumerate(strides)], side, sampling_ratio=-1)
        self.strides = strides

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Return the pooled maps (boxes of all images, c, side, side)."""
        numbers = torch.cat([torch.full_like(one[:, :1], number) for number, one in enumerate(boxes)])
        rois = torch.cat([numbers, torch.cat(boxes)], dim=1)
        levels = self.levels(rois[:, 1:])
        first = x[self.featmap_names[0]]
        pooled = first.new_zeros(len(rois), first.shape[1], *self.output_size)
        for number, (name, stride) in enumerate(zip(self.featmap_names, self.strides, strict=True)):
            chosen = (levels == number).nonzero()[:, 0]
            found = roi_align(x[name], rois[chosen], self.output_size, 1 / stride, self.sampling_ratio, aligned=True)
            pooled = pooled.index_copy(0, chosen, found)
        return pooled

    def levels(self, boxes: Tensor) -> Tensor:
        """Return the number of the level that each box (n, 4) is pooled from."""
        side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
        return torch.floor(torch.log2(side / 56 + 1e-6)).clamp(0, len(self.strides) - 1).long()


class BoxPredictor(FastRCNNPredictor):
    """Classes with the background last, and boxes of the classes alone, as in public checkpoints.

    torchvision reads the background first and boxes for it too: the scores are turned, and boxes of zero put before the others.

    Args:
        in_channels: Channels of what is read.
        num_classes: Number of classes, the background not counted.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes + 1)
        self.bbox_pred = nn.Linear(in_channels, 4 * num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (n, 1 + num_classes) and boxes (n, 4 * (1 + num_classes))."""
        boxes = self.bbox_pred(x)
        return self.cls_score(x).roll(1, dims=1), torch.cat([boxes.new_zeros(len(boxes), 4), boxes], dim=1)


class MaskPredictor(MaskRCNNPredictor):
    """Masks of the classes alone, as in public checkpoints; torchvision reads one of the background before them.

    Args:
        in_channels: Channels of what is read.
        channels: Channels in front of the last convolution.
        num_classes: Number of classes, the background not counted.
    """

    def __init__(self, in_channels: int, channels: int, num_classes: int) -> None:
        super().__init__(in_channels, channels, num_classes)

    def forward(self, input: Tensor) -> Tensor:
        """Return the logits (n, 1 + num_classes, 2 h, 2 w)."""
        masks = super().forward(input)
        return torch.cat([masks.new_zeros(len(masks), 1, *masks.shape[2:]), masks], dim=1)


class MaskRCNN(detection.MaskRCNN):
    """torchvision's Mask R-CNN on a pyramid.

    Args:
        pyramid: A pyramid, image (b, c, H, W) to maps.
        num_classes: Number of classes, the background not counted. Labels of targets and results start at 1.
        levels: The maps that are read, 0 for the finest; a coarser level is added.
        channels: Channels of the levels and of the mask's convolutions.
        box_channels: Channels between the two linear maps that read a box.
        mask_convolutions: Convolutions of 3 x 3 in the head of the masks.
        map_norm: Makes a normalisation of each map, see ``vittasks.DenseBackbone``.
        anchor_scale: Side of the anchors, in strides of their level.
        recipe: ``mmdet``: boxes are pooled as ``AlignedPool`` says, objects take anchors as ``GreedyMatcher`` says, anchors are
            exact, and 1000 proposals are kept in training. ``torchvision``: that library's defaults. With both, the losses of
            boxes are smooth L1 with beta 1/9 and the targets of masks keep fractions, where mmdetection has L1 and 0 or 1.
        short_side: Images are resized to this shorter side, in pixels; of several, one is drawn in training.
        long_side: Largest longer side, in pixels.
        mean: Of each channel of an image from 0 to 1, taken off.
        std: Standard deviation of each channel, divided by.

    Shapes:
        [image (c, H, W), ...] and targets -> losses in training; else boxes, scores, labels and masks of each image

    Source: He et al., Mask R-CNN, ICCV 2017; ``mmdet`` is Mask R-CNN 1x of PVT and Swin but for the losses named above.
    """

    def __init__(
        self,
        pyramid: nn.Module,
        num_classes: int,
        levels: tuple[int, ...] = (0, 1, 2, 3),
        channels: int = 256,
        box_channels: int = 1024,
        mask_convolutions: int = 4,
        map_norm: NormFactory = nn.Identity,
        anchor_scale: float = 8.0,
        recipe: Literal["mmdet", "torchvision"] = "mmdet",
        short_side: tuple[int, ...] = (800,),
        long_side: int = 1333,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
    ) -> None:
        maps = DenseBackbone(pyramid, levels, map_norm)
        strides = [*maps.strides, 2 * maps.strides[-1]]
        as_recipe = recipe == "mmdet"
        super().__init__(
            DetectorBackbone(maps, channels, LastLevelMaxPool()),
            min_size=short_side,
            max_size=long_side,
            image_mean=list(mean),
            image_std=list(std),
            rpn_anchor_generator=ExactAnchors(strides, [[anchor_scale * stride] for stride in strides], RATIOS),
            rpn_post_nms_top_n_train=1000 if as_recipe else 2000,
            box_roi_pool=_pool(maps.strides, 7, recipe),
            box_head=TwoMLPHead(channels * 7**2, box_channels),
            box_predictor=BoxPredictor(box_channels, num_classes),
            mask_roi_pool=_pool(maps.strides, 14, recipe),
            mask_head=MaskRCNNHeads(channels, (channels,) * mask_convolutions, 1),
            mask_predictor=MaskPredictor(channels, channels, num_classes),
        )
        if as_recipe:
            self.rpn.proposal_matcher = GreedyMatcher(0.7, 0.3, lowest=0.3)

    def counted_pass(self, images: Tensor) -> None:
        """Run every layer on images (b, c, H, W) of their final size, the heads on 1000 boxes and 100 masks."""
        levels = list(self.backbone(images).values())
        self.rpn.head(levels)
        heads, channels = self.roi_heads, self.backbone.out_channels
        boxes, masks = (
            images.new_zeros(number, channels, *pool.output_size)
            for number, pool in ((COUNTED_BOXES, heads.box_roi_pool), (COUNTED_MASKS, heads.mask_roi_pool))
        )
        heads.box_predictor(heads.box_head(boxes))
        heads.mask_predictor(heads.mask_head(masks))


def _pool(strides: list[int], side: int, recipe: str) -> MultiScaleRoIAlign:
    if recipe == "mmdet":
        return AlignedPool(strides, side)
    return MultiScaleRoIAlign([str(number) for number, _ in enumerate(strides)], side, sampling_ratio=2)

"""What Mask R-CNN does with a region: how it is pooled, what is predicted for it, and the losses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss, smooth_l1_loss
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import MultiScaleRoIAlign, roi_align

from vittasks.detection.rules import Rule


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
    """Predict classes with the background last, and boxes for the classes alone, as public checkpoints do.

    torchvision expects the background first, and boxes for it too: the scores are reordered, and zeros stand for its boxes.

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
    """Predict masks for the classes alone, as public checkpoints do; torchvision expects the background's before them.

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


class AbsoluteErrorProposals(RegionProposalNetwork):
    """torchvision's proposals, trained with the absolute error of boxes; torchvision squares errors below 1/9.

    Source: mmdetection's ``RPNHead`` with ``L1Loss``.
    """

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of the scores and of the boxes, given those of all anchors and what they should be."""
        positive, negative = (torch.cat(drawn).nonzero()[:, 0] for drawn in self.fg_bg_sampler(labels))
        both = torch.cat([positive, negative])
        error = l1_loss(pred_bbox_deltas[positive], torch.cat(regression_targets)[positive], reduction="sum")
        scores = binary_cross_entropy_with_logits(objectness.flatten()[both], torch.cat(labels)[both])
        return scores, error / both.numel()


class RegionHeads(RoIHeads):
    """torchvision's heads of boxes and masks, with a choice of their losses.

    A quarter of the boxes that are drawn in training are on objects, which they overlap by .5. Detections are the 100 of the
    highest score, at least .05, that overlap no better one of their class by more than .5.

    Args:
        boxes: Pool, head and predictor of the boxes.
        masks: Pool, head and predictor of the masks.
        sampled_boxes: Boxes of an image that are drawn in training.
        box_loss: See ``MaskRCNNRules``.
        mask_targets: See ``MaskRCNNRules``.
    """

    def __init__(
        self,
        boxes: Sequence[nn.Module],
        masks: Sequence[nn.Module],
        sampled_boxes: int,
        box_loss: Rule,
        mask_targets: Rule,
    ) -> None:
        super().__init__(*boxes, 0.5, 0.5, sampled_boxes, 0.25, None, 0.05, 0.5, 100, *masks)
        self.box_loss: Rule = box_loss
        self.mask_targets: Rule = mask_targets

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Return the losses in training, else boxes, scores, labels and masks of each image."""
        if not self.training:
            return super().forward(features, proposals, image_shapes)
        boxes, owners, labels, deltas = self.select_training_samples(proposals, targets)
        scores, found = self.box_predictor(self.box_head(self.box_roi_pool(features, boxes, image_shapes)))
        losses = self._box_losses(scores, found, torch.cat(labels), torch.cat(deltas))
        on_object = [one > 0 for one in labels]
        boxes, owners = ([one[kept] for one, kept in zip(every, on_object, strict=True)] for every in (boxes, owners))
        masks = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
        truth = [
            mask_targets(target["masks"], own, owner, masks.shape[-1], self.mask_targets)
            for target, own, owner in zip(targets or [], boxes, owners, strict=True)
        ]
        classes = torch.cat(labels)[torch.cat(on_object)]
        return [], losses | {"loss_mask": _mask_loss(masks, classes, torch.cat(truth))}

    def _box_losses(self, scores: Tensor, found: Tensor, classes: Tensor, deltas: Tensor) -> dict[str, Tensor]:
        objects = (classes > 0).nonzero()[:, 0]
        pair = found.unflatten(1, (-1, 4))[objects, classes[objects]], deltas[objects]
        as_recipe = self.box_loss == "mmdet"
        error = l1_loss(*pair, reduction="sum") if as_recipe else smooth_l1_loss(*pair, beta=1 / 9, reduction="sum")
        return {"loss_classifier": cross_entropy(scores, classes), "loss_box_reg": error / classes.numel()}


def mask_targets(masks: Tensor, boxes: Tensor, owners: Tensor, side: int, rule: Rule) -> Tensor:
    """Return what the masks of boxes should be.

    Args:
        masks: Masks of an image's objects, (objects, H, W).
        boxes: (n, 4) in pixels.
        owners: The number of the object that each box is on, (n,).
        side: Rows and columns of a box's mask.
        rule: See ``MaskRCNNRules``.

    Returns:
        (n, side, side), 0 or 1 under ``mmdet``, else from 0 to 1.
    """
    as_recipe = rule == "mmdet"
    rois = torch.cat([owners[:, None].to(boxes), boxes], dim=1)
    crops = roi_align(masks[:, None].to(boxes), rois, side, aligned=as_recipe)[:, 0]
    return (crops >= 0.5).to(crops) if as_recipe else crops


def _mask_loss(masks: Tensor, classes: Tensor, truth: Tensor) -> Tensor:
    if not len(truth):
        return masks.sum() * 0
    own = masks[torch.arange(len(classes), device=classes.device), classes]
    return binary_cross_entropy_with_logits(own, truth)


@torch.no_grad()
def recipe_weights(head: TwoMLPHead, predictor: FastRCNNPredictor) -> None:
    """Draw initial weights as mmdetection does: Xavier's uniform ones for the head, normal ones for scores and boxes."""
    for linear in (head.fc6, head.fc7):
        nn.init.xavier_uniform_(linear.weight)
    nn.init.normal_(predictor.cls_score.weight, std=0.01)
    nn.init.normal_(predictor.bbox_pred.weight, std=0.001)
    for linear in (head.fc6, head.fc7, predictor.cls_score, predictor.bbox_pred):
        nn.init.zeros_(linear.bias)

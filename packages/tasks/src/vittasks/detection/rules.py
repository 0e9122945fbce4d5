"""The points in which mmdetection's detectors, which the papers used, differ from torchvision's. Each can be set by itself."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

Rule: TypeAlias = Literal["mmdet", "torchvision"]
Rules = TypeVar("Rules", bound=Any)


@dataclass(frozen=True)
class RetinaNetRules:
    """Which library's rule RetinaNet follows in each point; None for that of the detector's ``recipe``.

    Args:
        p6: What the fourth level reads. ``mmdet``: the backbone's coarsest map; ``torchvision``: the third level if that map has
            as many channels as the levels, else the map.
        p7: What stands before the fifth level. ``mmdet``: nothing; ``torchvision``: a ReLU.
        loss_mean: What the losses are divided by. ``mmdet``: the positive anchors of the batch; ``torchvision``: those of each
            image, and the mean over the images.
        matching: Which object gets an anchor that overlaps it best of all, though by less than the threshold. ``mmdet``: that
            object, and of several the later one; ``torchvision``: the object that the anchor overlaps most.
        anchors: ``mmdet``: exact sides, a level's stride apart; ``torchvision``: sides and corners in whole pixels.
        kept_boxes: Most boxes of an image. ``mmdet``: 100; ``torchvision``: 300.
        initial_weights: How those of the levels are drawn. ``mmdet``: Xavier's uniform ones; ``torchvision``: He's
            uniform ones for no non-linearity.
    """

    p6: Rule | None = None
    p7: Rule | None = None
    loss_mean: Rule | None = None
    matching: Rule | None = None
    anchors: Rule | None = None
    kept_boxes: Rule | None = None
    initial_weights: Rule | None = None


@dataclass(frozen=True)
class MaskRCNNRules:
    """Which library's rule Mask R-CNN follows in each point; None for that of the detector's ``recipe``.

    Args:
        outputs: What boxes and masks are predicted for. ``mmdet``: the classes; ``torchvision``: the background too.
        matching: Which object gets an anchor that overlaps it best of all, though by less than the threshold. ``mmdet``: that
            object, and of several the later one, if they overlap by .3; ``torchvision``: the object that it overlaps most.
        anchors: ``mmdet``: exact sides, a level's stride apart; ``torchvision``: sides and corners in whole pixels.
        proposals: Most boxes of an image that the second part is trained with. ``mmdet``: as many as it reads in evaluation,
            1000; ``torchvision``: twice as many.
        box_loss: The error of boxes, in both parts. ``mmdet``: absolute; ``torchvision``: squared below 1/9.
        pooling: How boxes and masks are pooled. ``mmdet``: see ``AlignedPool``; ``torchvision``: with two samples a side, half a
            pixel off.
        mask_targets: What the mask of a box is compared with. ``mmdet``: the object's mask in the box, aligned, as 0 or 1;
            ``torchvision``: not aligned, as fractions.
        initial_weights: ``mmdet``: Xavier's uniform ones for the levels and the two linear maps that read a box, normal ones of
            deviation .01 for the scores and .001 for the boxes; ``torchvision``: He's uniform ones.
    """

    outputs: Rule | None = None
    matching: Rule | None = None
    anchors: Rule | None = None
    proposals: Rule | None = None
    box_loss: Rule | None = None
    pooling: Rule | None = None
    mask_targets: Rule | None = None
    initial_weights: Rule | None = None


def chosen(rules: Rules, recipe: Rule) -> Rules:
    """Return rules in which every point is set: those that were given, and the recipe's for the rest."""
    open_points = [field.name for field in dataclasses.fields(rules) if getattr(rules, field.name) is None]
    return dataclasses.replace(rules, **dict.fromkeys(open_points, recipe))

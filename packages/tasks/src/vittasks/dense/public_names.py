"""Names of weights in the public checkpoints of segmentation and detection (mmsegmentation, mmdetection), and ours.

They are written ``backbone.*``, ``neck.*``, ``decode_head.*``, ``auxiliary_head.*``, ``bbox_head.*``, ``rpn_head.*`` and
``roi_head.*``. A set of rules is put together from the backbone's and those of the heads that a network has.
"""

import dataclasses
import math

from torch import Tensor, nn

from vitmodels import KeyRules
from vitmodels.skeletons.checkpoint import Numbered

Renames = tuple[tuple[str, str], ...]

NOT_IN_A_BACKBONE = (r"\1", "stages.3.prefix")
"""Our names of parts that a backbone lacks: norm and head, which keep their public names, and the class token."""

MAP_NORMS: Renames = ((r"backbone\.norm(?P<stage>\d)\.(.+)", r"backbone.norms.{stage}.\2"),)
FEATURE_PYRAMID: Renames = (
    (r"neck\.lateral_convs\.(\d)\.conv\.(.+)", r"pyramid.inner_blocks.\1.0.\2"),
    (r"neck\.fpn_convs\.(\d)\.conv\.(.+)", r"pyramid.layer_blocks.\1.0.\2"),
)
CONVOLVED_LEVELS: Renames = (
    (r"neck\.fpn_convs\.3\.conv\.(.+)", r"pyramid.extra_blocks.p6.\1"),
    (r"neck\.fpn_convs\.4\.conv\.(.+)", r"pyramid.extra_blocks.p7.\1"),
)
"""Rules before ``FEATURE_PYRAMID``: the fourth and fifth of the public ``fpn_convs`` read the backbone."""

SEMANTIC_FPN: Renames = (
    *((theirs, f"head.{ours}") for theirs, ours in FEATURE_PYRAMID),
    (r"decode_head\.scale_heads\.(\d)\.(\d)\.conv\.(.+)", r"head.branches.\1.\2.0.\3"),
    (r"decode_head\.scale_heads\.(\d)\.(\d)\.bn\.(.+)", r"head.branches.\1.\2.1.\3"),
    (r"decode_head\.conv_seg\.(.+)", r"head.classifier.1.\1"),
)
UPERNET: Renames = (
    (r"decode_head\.psp_modules\.(\d)\.1\.conv\.(.+)", r"head.pooling.pools.\1.1.0.\2"),
    (r"decode_head\.psp_modules\.(\d)\.1\.bn\.(.+)", r"head.pooling.pools.\1.1.1.\2"),
    (r"decode_head\.bottleneck\.conv\.(.+)", r"head.pooling.merge.0.\1"),
    (r"decode_head\.bottleneck\.bn\.(.+)", r"head.pooling.merge.1.\1"),
    (r"decode_head\.lateral_convs\.(\d)\.conv\.(.+)", r"head.laterals.\1.0.\2"),
    (r"decode_head\.lateral_convs\.(\d)\.bn\.(.+)", r"head.laterals.\1.1.\2"),
    (r"decode_head\.fpn_convs\.(\d)\.conv\.(.+)", r"head.outputs.\1.0.\2"),
    (r"decode_head\.fpn_convs\.(\d)\.bn\.(.+)", r"head.outputs.\1.1.\2"),
    (r"decode_head\.fpn_bottleneck\.conv\.(.+)", r"head.merge.0.\1"),
    (r"decode_head\.fpn_bottleneck\.bn\.(.+)", r"head.merge.1.\1"),
    (r"decode_head\.conv_seg\.(.+)", r"head.classifier.1.\1"),
)
AUXILIARY_FCN: Renames = (
    (r"auxiliary_head\.convs\.0\.conv\.(.+)", r"auxiliary.convolution.0.\1"),
    (r"auxiliary_head\.convs\.0\.bn\.(.+)", r"auxiliary.convolution.1.\1"),
    (r"auxiliary_head\.conv_seg\.(.+)", r"auxiliary.classifier.1.\1"),
)
_DETECTOR_PYRAMID: Renames = tuple((theirs, f"backbone.{ours}") for theirs, ours in FEATURE_PYRAMID)
RETINANET: Renames = (
    *((theirs, f"backbone.{ours}") for theirs, ours in CONVOLVED_LEVELS),
    *_DETECTOR_PYRAMID,
    (r"bbox_head\.cls_convs\.(\d)\.conv\.(.+)", r"head.classification_head.conv.\1.0.\2"),
    (r"bbox_head\.reg_convs\.(\d)\.conv\.(.+)", r"head.regression_head.conv.\1.0.\2"),
    (r"bbox_head\.retina_cls\.(.+)", r"head.classification_head.cls_logits.\1"),
    (r"bbox_head\.retina_reg\.(.+)", r"head.regression_head.bbox_reg.\1"),
)
MASK_RCNN: Renames = (
    *_DETECTOR_PYRAMID,
    (r"rpn_head\.rpn_conv\.(.+)", r"rpn.head.conv.0.0.\1"),
    (r"rpn_head\.rpn_cls\.(.+)", r"rpn.head.cls_logits.\1"),
    (r"rpn_head\.rpn_reg\.(.+)", r"rpn.head.bbox_pred.\1"),
    (r"roi_head\.bbox_head\.shared_fcs\.0\.(.+)", r"roi_heads.box_head.fc6.\1"),
    (r"roi_head\.bbox_head\.shared_fcs\.1\.(.+)", r"roi_heads.box_head.fc7.\1"),
    (r"roi_head\.bbox_head\.fc_cls\.(.+)", r"roi_heads.box_predictor.cls_score.\1"),
    (r"roi_head\.bbox_head\.fc_reg\.(.+)", r"roi_heads.box_predictor.bbox_pred.\1"),
    (r"roi_head\.mask_head\.convs\.(\d)\.conv\.(.+)", r"roi_heads.mask_head.\1.0.\2"),
    (r"roi_head\.mask_head\.upsample\.(.+)", r"roi_heads.mask_predictor.conv5_mask.\1"),
    (r"roi_head\.mask_head\.conv_logits\.(.+)", r"roi_heads.mask_predictor.mask_fcn_logits.\1"),
)

HEADS: dict[str, Renames] = {
    "SemanticFPN": SEMANTIC_FPN,
    "UPerNet": UPERNET,
    "FCN": AUXILIARY_FCN,
    "RetinaNet": RETINANET,
    "MaskRCNN": MASK_RCNN,
}
"""Head or detector, by the name of its class -> its rules."""


def dense_rules(classifier: KeyRules, norms: Renames = (), heads: Renames = (), place: str = "backbone") -> KeyRules:
    """Return the rules for public checkpoints of a backbone with its heads.

    A table of positions with an entry for a class token, which the public detectors keep and do not read, loses that entry.

    Args:
        classifier: The rules of the classifier that the backbone comes from.
        norms: How the norms of the maps are called; ``MAP_NORMS`` or none.
        heads: The rules of the heads.
        place: Path of the network's ``DenseBackbone``; ``backbone.maps`` in a detector.
    """
    norms = tuple((theirs, ours.replace("backbone", place, 1)) for theirs, ours in norms)
    backbone = [
        (rf"backbone\.{theirs}", _below(f"{place}.pyramid", ours))
        for theirs, ours in classifier.renames
        if ours not in NOT_IN_A_BACKBONE
    ]

    def transform(name: str, value: Tensor, model: nn.Module) -> Tensor:
        if name.startswith(place) and classifier.transform:
            value = classifier.transform(name, value, model)
        has_class_token = name.endswith(".position.table") and value.ndim == 3 and not _is_square(value.shape[1])
        return value[:, 1:] if has_class_token else value

    return dataclasses.replace(classifier, renames=(*norms, *backbone, *heads), transform=transform, others=())


def _below(place: str, ours: str | Numbered) -> str | Numbered:
    if isinstance(ours, Numbered):
        return dataclasses.replace(ours, owner=f"{place}.{ours.owner}")
    return f"{place}.{ours}"


def _is_square(number: int) -> bool:
    return math.isqrt(number) ** 2 == number

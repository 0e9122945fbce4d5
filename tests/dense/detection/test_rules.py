"""The rules of both libraries: all of torchvision's are that library's detector; each by itself changes what it says."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from vittasks import MaskRCNN, MaskRCNNRules, RetinaNet, RetinaNetRules
from vittasks.dense.feature_pyramid import FeaturePyramid
from vittasks.detection.anchors import RATIOS
from vittasks.detection.roi_heads import AbsoluteErrorProposals, mask_targets

WIDTHS = (4, 4, 6, 8)
PLAIN = {"short_side": (64,), "long_side": 64, "mean": (0.0,), "std": (1.0,)}
TORCHVISION = {"min_size": 64, "max_size": 64, "image_mean": [0.0], "image_std": [1.0]}
KINDS = {"RetinaNet": RetinaNetRules, "MaskRCNN": MaskRCNNRules}
ROWS = [(kind, field.name) for kind, rules in KINDS.items() for field in dataclasses.fields(rules)]


class Pooled(nn.Module):
    """A pyramid without parameters: the image's mean over squares of 4, 8, 16 and 32 pixels, in several channels."""

    feature_info = tuple({"num_chs": width, "reduction": 4 * 2**number} for number, width in enumerate(WIDTHS))

    def prune_intermediate_layers(self, *_, **__):
        """Keep all."""

    def forward_intermediates(self, image, indices, **_):
        return [
            nn.functional.avg_pool2d(image, 4 * 2**level).mean(1, keepdim=True)
            * torch.linspace(-2, 3, WIDTHS[level])[:, None, None]
            for level in indices
        ]


class Levels(nn.Module):
    """The same under a feature pyramid, as a backbone of torchvision's detectors."""

    def __init__(self, first, extra):
        super().__init__()
        self.maps, self.first, self.out_channels = Pooled(), first, 8
        self.pyramid = FeaturePyramid(WIDTHS[first:], 8, extra)

    def forward(self, image):
        levels = self.pyramid.levels(self.maps.forward_intermediates(image, range(self.first, 4)))
        return {str(number): level for number, level in enumerate(levels)}


def ours(kind, recipe, **rules):
    torch.manual_seed(0)
    chosen = KINDS[kind](**rules)
    if kind == "RetinaNet":
        return RetinaNet(Pooled(), 3, channels=8, recipe=recipe, rules=chosen, **PLAIN)
    sizes = {"channels": 8, "box_channels": 16, "mask_convolutions": 1}
    return MaskRCNN(Pooled(), 3, recipe=recipe, rules=chosen, **sizes, **PLAIN)


def theirs(kind):
    """The library's detector, put together by its own classes with its own defaults."""
    if kind == "RetinaNet":
        sizes = tuple(tuple(int(4 * stride * 2 ** (n / 3)) for n in range(3)) for stride in (8, 16, 32, 64, 128))
        anchors = AnchorGenerator(sizes, (RATIOS,) * 5)
        return detection.RetinaNet(Levels(1, LastLevelP6P7(8, 8)), 3, anchor_generator=anchors, **TORCHVISION)
    return detection.MaskRCNN(
        Levels(0, LastLevelMaxPool()),
        rpn_anchor_generator=AnchorGenerator(tuple((8 * stride,) for stride in (4, 8, 16, 32, 64)), (RATIOS,) * 5),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2),
        box_head=TwoMLPHead(8 * 49, 16),
        box_predictor=FastRCNNPredictor(16, 4),
        mask_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2),
        mask_head=MaskRCNNHeads(8, (8,), 1),
        mask_predictor=MaskRCNNPredictor(8, 8, 4),
        **TORCHVISION,
    )


def batch():
    """Two images with a large object, and a small one inside of it or none."""
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(1, 64, 64, generator=generator, dtype=torch.float64) for _ in range(2)]
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[0, 1:62, 2:60], masks[1, 28:36, 27:36] = 1, 1
    boxes = torch.tensor([[2.0, 1, 60, 62], [27, 28, 36, 36]], dtype=torch.float64)
    one, other = (
        {"boxes": boxes[kept], "labels": torch.tensor([2, 1])[kept], "masks": masks[kept]} for kept in ([0, 1], [0])
    )
    return images, [one, other]


def computed(detector):
    """Losses and detections, with what is drawn at random drawn alike."""
    images, targets = batch()
    torch.manual_seed(2)
    losses = detector.double().train()(images, targets)
    return [losses, *detector.eval()(images)]


def alike(one, other):
    """Whether two lists of named tensors are equal to the last bit."""
    return [named.keys() for named in one] == [named.keys() for named in other] and all(
        left[name].equal(right[name]) for left, right in zip(one, other, strict=True) for name in left
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_rules_of_torchvision_are_its_own_detector(kind):
    detector, library = ours(kind, "torchvision"), theirs(kind)
    library.load_state_dict(detector.state_dict())
    assert alike(computed(detector), computed(library))


SHOWN = {
    "initial_weights": lambda detector: [detector.state_dict()],
    "outputs": lambda detector: [{name: torch.tensor(one.shape) for name, one in detector.state_dict().items()}],
    "kept_boxes": lambda detector: [{"most": torch.tensor(detector.detections_per_img)}],
    "proposals": lambda detector: [{"most": torch.tensor(detector.train().rpn.post_nms_top_n())}],
}
"""What a rule changes, where it is not the losses of two images."""


@pytest.mark.parametrize(
    ("kind", "row"), [pytest.param(*row, marks=[pytest.mark.slow] * (row[0] == "MaskRCNN")) for row in ROWS]
)
def test_each_rule_by_itself_changes_the_detector(kind, row):
    library, changed = ours(kind, "torchvision"), ours(kind, "torchvision", **{row: "mmdet"})
    if row not in SHOWN:
        changed.load_state_dict(library.state_dict())
    shown = SHOWN.get(row, computed)
    assert not alike(shown(library), shown(changed))


def test_a_rule_is_the_recipe_s_unless_it_is_stated():
    assert ours("RetinaNet", "mmdet").detections_per_img == 100
    assert ours("RetinaNet", "mmdet", kept_boxes="torchvision").detections_per_img == 300
    assert ours("RetinaNet", "torchvision", kept_boxes="mmdet").detections_per_img == 100


@pytest.mark.parametrize(("recipe", "trained"), [("mmdet", 6), ("torchvision", 12)])
def test_as_many_regions_are_read_as_is_asked_for_and_pooled_to_the_sizes_asked_for(recipe, trained):
    sizes = {"channels": 8, "box_pool": 3, "box_channels": 16, "mask_pool": 5, "mask_convolutions": 1}
    detector = MaskRCNN(Pooled(), 3, recipe=recipe, proposals=6, sampled_boxes=4, **sizes, **PLAIN)
    assert (detector.train().rpn.post_nms_top_n(), detector.eval().rpn.post_nms_top_n()) == (trained, 6)
    read = {"box_head": [], "mask_head": []}
    for name, shapes in read.items():
        detector.roi_heads.get_submodule(name).register_forward_hook(
            lambda head, given, result, shapes=shapes: shapes.append(tuple(given[0].shape))
        )
    images, targets = batch()
    detector.train().float()([image.float() for image in images], targets)
    detector.eval().counted_pass(torch.rand(1, 1, 64, 64))
    (trained_boxes, *pooled), counted = read["box_head"]
    assert 0 < trained_boxes <= 2 * 4
    assert (pooled, counted) == ([8, 3, 3], (6, 8, 3, 3))
    assert [shape[1:] for shape in read["mask_head"]] == [(8, 5, 5)] * 2


def test_the_mask_of_a_box_is_the_crop_of_the_object_s_mask_as_0_or_1():
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[1, 2:4, 2:5] = 1
    box, owner = torch.tensor([[1.0, 1.0, 5.0, 5.0]]), torch.tensor([1])
    assert torch.equal(mask_targets(masks, box, owner, 4, "mmdet"), masks[1:, 1:5, 1:5].float())
    # Each value stands for 2 x 2 pixels, of which one or two are the object's.
    assert mask_targets(masks, box, owner, 2, "mmdet").tolist() == [[[0.0, 1.0], [0.0, 1.0]]]
    # Half a pixel off, and as fractions.
    fractions = [[[0.5625, 0.5625], [0.1875, 0.1875]]]
    assert mask_targets(masks, box, owner, 2, "torchvision").tolist() == fractions


def test_the_error_of_proposals_is_absolute_and_divided_by_all_anchors_that_were_drawn():
    network = AbsoluteErrorProposals(None, None, 0.7, 0.3, 8, 0.5, {}, {}, 0.7)
    labels = [torch.tensor([1.0, 0.0, -1.0]), torch.tensor([0.0, 1.0, -1.0])]
    scores, found = torch.randn(6, 1), torch.randn(6, 4)
    wanted = [torch.randn(3, 4), torch.randn(3, 4)]
    objectness, error = network.compute_loss(scores, found, labels, wanted)
    drawn, positive = [0, 1, 3, 4], [0, 4]
    by_hand = sum((found[n] - torch.cat(wanted)[n]).abs().sum() for n in positive) / len(drawn)
    assert error.item() == pytest.approx(by_hand.item(), rel=1e-6)
    truth = torch.cat(labels)[drawn]
    expected = binary_cross_entropy_with_logits(scores[drawn, 0], truth)
    assert objectness.item() == pytest.approx(expected.item(), rel=1e-6)

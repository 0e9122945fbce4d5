"""Every pyramid takes a training step under every head: all that is built learns, and results have the image's size.

By default none runs; the slow tests take three pairs, the exhaustive ones all others.
"""

import functools

import pytest
import torch

from tests.models.small_pyramids import by_timm
from vittasks import FCN, FCOS, Detection, MaskRCNN, RetinaNet, Segmentation, SemanticFPN, UPerNet

STAGES = (1, 2, 3, 4)
GATE = {"class_path": "vitcore.SqueezeExcite", "init_args": {"reduction": 16}}
FURTHER = {
    "boat_cswin_tiny": {f"stage{i}__content_mixer__op__head_dim": 8 for i in STAGES},
    "boat_cswin_tiny_compat": {f"stage{i}__content_mixer__op__head_dim": 8 for i in STAGES},
    "dat_tiny": {
        f"stage{i}__alternate__mixer__op__{key}": n for i in (3, 4) for key, n in (("head_dim", 8), ("groups", 2))
    },
    "localvit_pvt_tiny": {f"stage{i}__feed_forward__op__channel_attention": GATE for i in STAGES},
    "shuffle_tiny": {f"stage{i}__alternate__mixer__op__head_dim": 8 for i in STAGES},
}
"""What the small models of these need beside ``tests.models.small_pyramids``."""

PYRAMIDS = (
    *("pvt_tiny", "pvtv2_b0", "pvtv2_b2_li", "swin_tiny", "cswin_tiny", "nat_mini", "shuffle_tiny", "msg_tiny"),
    *("axial_tiny", "dat_tiny", "pale_tiny", "pale_tiny_compat", "localvit_pvt_tiny", "localvit_swin_tiny"),
    *("boat_swin_tiny", "boat_cswin_tiny", "boat_cswin_tiny_compat"),
    *("slide_pvt_tiny", "slide_pvtv2_b1", "slide_swin_tiny", "slide_swin_tiny_compat", "slide_cswin_tiny"),
    "slide_nat_mini",
)
"""One of every system; its other sizes have other widths and depths alone."""

SIZED = {"short_side": (97,), "long_side": 131, "mean": (0.0,), "std": (1.0,)}
DETECTORS = {
    "retinanet": functools.partial(RetinaNet, channels=8, **SIZED),
    "fcos": functools.partial(FCOS, channels=32, convolutions=1, **SIZED),
    "mask_rcnn": functools.partial(MaskRCNN, channels=8, box_channels=16, mask_convolutions=1, **SIZED),
}
SEGMENTORS = {
    "semantic_fpn": {"head": functools.partial(SemanticFPN, pyramid_channels=16, channels=16)},
    "upernet": {
        "head": functools.partial(UPerNet, channels=16),
        "auxiliary": functools.partial(FCN, channels=8),
    },
}
IN_CI = {("cswin_tiny", "upernet"), ("pvt_tiny", "retinanet"), ("boat_swin_tiny", "mask_rcnn")}


def pairs(heads):
    return [
        pytest.param(
            pyramid, head, marks=[pytest.mark.slow, *([] if (pyramid, head) in IN_CI else [pytest.mark.exhaustive])]
        )
        for pyramid in PYRAMIDS
        for head in heads
    ]


def small(pyramid):
    torch.manual_seed(0)
    return by_timm(pyramid, in_chans=1, num_classes=0, **FURTHER.get(pyramid, {}))


def step(task, batch):
    """Take a training step outside of a trainer, where there is nowhere to log to, and return what has no gradient."""
    task.log = task.log_dict = lambda *_, **__: None
    optimizer = torch.optim.SGD(task.parameters(), lr=1e-3)
    loss = task.train().training_step(batch, 0)
    assert loss.isfinite()
    loss.backward()
    optimizer.step()
    return [name for name, weight in task.named_parameters() if weight.grad is None]


def assert_strides(maps, strides):
    assert [tuple(one.shape[2:]) for one in maps] == [(128 // stride, 160 // stride) for stride in strides]


@pytest.mark.parametrize(("pyramid", "head"), pairs(SEGMENTORS))
def test_a_segmentation_network_learns_as_a_whole_at_an_odd_size(pyramid, head):
    task = Segmentation(small(pyramid), 5, **SEGMENTORS[head])
    image, label = torch.rand(2, 1, 97, 131), torch.randint(0, 5, (2, 97, 131))
    assert step(task, (image, label)) == []
    assert task.eval()(image).shape == (2, 5, 97, 131)
    assert_strides(task.backbone(torch.zeros(2, 1, 128, 160)), (4, 8, 16, 32))


@pytest.mark.parametrize(("pyramid", "detector"), pairs(DETECTORS))
def test_a_detector_learns_as_a_whole_at_an_odd_size(pyramid, detector):
    task = Detection(small(pyramid), 5, DETECTORS[detector])
    masks = torch.zeros(1, 97, 131, dtype=torch.uint8)
    masks[:, 20:70, 30:90] = 1
    target = {"boxes": torch.tensor([[30.0, 20.0, 90.0, 70.0]]), "labels": torch.tensor([3]), "masks": masks}
    images = list(torch.rand(2, 1, 97, 131))
    assert step(task, (images, [target, target])) == []
    found = task.eval()(images)[0]
    limits = torch.tensor([131.0, 97.0, 131.0, 97.0])
    assert ((found["boxes"] >= 0) & (found["boxes"] <= limits)).all()
    assert "masks" not in found or found["masks"].shape[1:] == (1, 97, 131)
    levels = list(task.network.backbone(torch.zeros(2, 1, 128, 160)).values())
    strides = (4, 8, 16, 32) if detector == "mask_rcnn" else (8, 16, 32)
    assert_strides(levels[: len(strides)], strides)

"""Detectors against the public ones: levels, heads, losses, detections, gradients and sizes."""

import pytest
import torch
from torch import nn

from tests.head_records import HeadRecord, assert_output
from vitmodels import KeyRules
from vittasks.dense.public_names import MASK_RCNN, RETINANET
from vittasks.detection.anchors import GreedyMatcher
from vittasks.detection.mask_rcnn import MaskRCNN
from vittasks.detection.retinanet import RetinaNet


class GivenMaps(nn.Module):
    """A pyramid that gives the maps of a record, whatever the image."""

    def __init__(self, maps):
        super().__init__()
        self.maps = maps
        self.feature_info = [
            {"num_chs": one.shape[1], "reduction": 4 * 2**number} for number, one in enumerate(self.maps)
        ]

    def prune_intermediate_layers(self, *_, **__):
        """Keep all."""

    def forward_intermediates(self, image, indices, **_):
        return [self.maps[index] for index in indices]


class Loaded:
    """A record and our detector with its weights, on the record's maps."""

    def __init__(self, name):
        self.record = HeadRecord(name)
        args = self.record["args"]
        self.h, self.w = self.record["input"]["image"]
        self.maps = self.record.maps()
        plain = {"short_side": (self.h,), "long_side": self.w, "mean": (0.0,), "std": (1.0,)}
        pyramid, classes, channels = GivenMaps(self.maps), args["classes"], args["fpn_channels"]
        if name.startswith("retinanet"):
            detector, rules = RetinaNet(pyramid, classes, channels=channels, **plain), RETINANET
        else:
            detector, rules = (
                MaskRCNN(pyramid, classes, channels=channels, box_channels=args["fc_channels"], **plain),
                MASK_RCNN,
            )
        self.detector = self.record.load(detector, KeyRules(rules))
        self.images = [torch.zeros(1, self.h, self.w, dtype=torch.float64)] * 2

    def targets(self):
        given = self.record["input"]
        return [
            {"boxes": torch.tensor(boxes, dtype=torch.float64), "labels": torch.tensor(labels)}
            for boxes, labels in zip(given["gt_boxes_xyxy"], given["gt_labels"], strict=True)
        ]


@pytest.fixture(scope="module", params=["retinanet__small", "retinanet__pvt"])
def retinanet(request):
    return Loaded(request.param)


def test_retinanet_s_levels_heads_and_anchors_are_those_of_the_public_code(retinanet):
    record, detector = retinanet.record, retinanet.detector
    record.assert_parameters(detector)
    recorded = record["outputs_fp64"]
    levels = list(detector.backbone(torch.zeros(2, 1, retinanet.h, retinanet.w)).values())
    for number, level in enumerate(levels):
        assert_output(level, recorded[f"fpn{number}"])
        for kind, head, last in (
            ("cls", detector.head.classification_head, "cls_logits"),
            ("reg", detector.head.regression_head, "bbox_reg"),
        ):
            assert_output(getattr(head, last)(head.conv(level)), recorded[f"{kind}{number}"])
    cell = torch.tensor(record["base_anchors_level0"], dtype=torch.float64)
    assert torch.allclose(detector.anchor_generator.cell_anchors[0].double(), cell, rtol=0, atol=1e-8)


def test_retinanet_s_losses_and_gradients_are_those_of_the_public_code(retinanet):
    record, detector = retinanet.record, retinanet.detector.train()
    losses = detector(retinanet.images, retinanet.targets())
    recorded = record["losses_fp64"]
    assert losses["classification"].item() == pytest.approx(sum(recorded["loss_cls"]), rel=1e-6)
    assert losses["bbox_regression"].item() == pytest.approx(sum(recorded["loss_bbox"]), rel=1e-6)
    sum(losses.values()).backward()
    record.assert_gradients(detector, record["grad_l2_fp64"], retinanet.maps, record["input_grad_l2_fp64"])


def test_retinanet_s_detections_are_those_of_the_public_code(retinanet):
    found = retinanet.detector.eval()(retinanet.images)
    for ours, recorded in zip(found, retinanet.record["detections_fp64"], strict=True):
        assert len(ours["boxes"]) == recorded["count"]
        rows = torch.cat([ours["boxes"], ours["scores"][:, None]], 1)[: len(recorded["boxes_scores"])]
        assert torch.allclose(rows, torch.tensor(recorded["boxes_scores"], dtype=torch.float64), rtol=1e-6, atol=1e-6)
        if "labels" in recorded:
            assert ours["labels"][: len(recorded["labels"])].tolist() == recorded["labels"]


@pytest.mark.parametrize("name", ["mask_rcnn__small", "mask_rcnn__pvt"])
def test_mask_rcnn_s_parts_and_gradients_are_those_of_the_public_code(name):
    loaded = Loaded(name)
    record, detector = loaded.record, loaded.detector
    record.assert_parameters(detector)
    recorded = record["outputs_fp64"]
    levels = detector.backbone(torch.zeros(2, 1, loaded.h, loaded.w))
    objectness, deltas = detector.rpn.head(list(levels.values()))
    rois = torch.tensor(record["input"]["rois_batch_xyxy"], dtype=torch.float64)
    order = rois[:, 0].argsort(stable=True)  # torchvision has the boxes of an image together
    boxes = [rois[rois[:, 0] == number, 1:] for number in (0, 1)]
    heads = detector.roi_heads
    assert heads.box_roi_pool.levels(rois[:, 1:]).tolist() == record["roi_levels"]

    def as_recorded(rows):
        return torch.empty_like(rows).index_copy(0, order, rows)

    box_features, mask_features = (pool(levels, boxes, None) for pool in (heads.box_roi_pool, heads.mask_roi_pool))
    scores, box_deltas = heads.box_predictor(heads.box_head(box_features))
    masks = heads.mask_predictor(heads.mask_head(mask_features))
    outputs = {
        **{f"fpn{number}": level for number, level in enumerate(levels.values())},
        **{f"rpn_cls{number}": one for number, one in enumerate(objectness)},
        **{f"rpn_reg{number}": one for number, one in enumerate(deltas)},
        "box_features": as_recorded(box_features),
        "mask_features": as_recorded(mask_features),
        "cls_scores": as_recorded(scores.roll(-1, 1)),
        "box_deltas": as_recorded(box_deltas[:, 4:]),
        "mask_logits": as_recorded(masks[:, 1:]),
    }
    assert set(outputs) == set(recorded)
    for key, one in outputs.items():
        assert_output(one, recorded[key])
    loss = sum(one.square().mean() for key, one in outputs.items() if not key.startswith(("fpn", "box_f", "mask_f")))
    assert loss.item() == pytest.approx(record["loss_fp64"], rel=1e-9)
    loss.backward()
    record.assert_gradients(detector, record["grad_l2_fp64"], loaded.maps, record["input_grad_l2_fp64"])


def test_an_object_takes_its_best_anchors_from_another_and_later_objects_win():
    overlaps = torch.tensor([[0.9, 0.6, 0.1], [0.0, 0.45, 0.1], [0.0, 0.2, 0.0]])
    assert GreedyMatcher(0.5, 0.4)(overlaps).tolist() == [0, 2, -1]
    assert GreedyMatcher(0.5, 0.4, lowest=0.3)(overlaps).tolist() == [0, 1, -1]

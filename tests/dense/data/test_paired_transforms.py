"""Images, labels, boxes and masks stay together, and colours change as they should."""

import colorsys

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from vittasks.data.dense.paired_transforms import PhotometricDistortion, RandomPart, RandomSize, saturated

CHANGES = {
    "flip": v2.RandomHorizontalFlip(0.5),
    "size": RandomSize(30, 90, (0.5, 2.0)),
    "part": RandomPart((20, 30, 40), (12, 36), 70),
    "distortion": PhotometricDistortion(0.5),
    "all": v2.Compose([
        v2.RandomApply([RandomPart((20, 30, 40), (12, 36), 70)], 0.5), v2.RandomHorizontalFlip(0.5), PhotometricDistortion(),
    ]),
}  # fmt: skip


def scene(draw):
    """An image with rectangles that are filled by their colours, boxes and masks; the last one may be a crowd."""
    h, w = draw.integers(16, 64, 2).tolist()
    corners = np.sort(np.stack([draw.integers(0, h + 1, (4, 2)), draw.integers(0, w + 1, (4, 2))], -1), 1)
    boxes = [(x1, y1, x2, y2) for (y1, x1), (y2, x2) in corners.tolist() if y2 - y1 > 1 and x2 - x1 > 1]
    masks = torch.zeros(len(boxes), h, w, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    kept = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return tv_tensors.Image(torch.rand(3, h, w)), {
        "boxes": tv_tensors.BoundingBoxes(kept, format="XYXY", canvas_size=(h, w)),
        "labels": torch.arange(len(boxes)),
        "iscrowd": torch.zeros(len(boxes), dtype=torch.long),
        "area": torch.arange(len(boxes)).float(),
        "masks": tv_tensors.Mask(masks),
    }


@pytest.mark.parametrize("name", CHANGES)
def test_a_box_bounds_its_mask_under_every_change(name):
    draw, objects = np.random.default_rng(0), 0
    for _ in range(500 // len(CHANGES)):
        image, target = CHANGES[name](*scene(draw))
        h, w = image.shape[1:]
        assert target["masks"].shape == (len(target["boxes"]), h, w)
        assert target["boxes"].canvas_size == (h, w)
        assert {len(target[key]) for key in ("labels", "iscrowd", "area")} == {len(target["boxes"])}
        assert torch.equal(target["labels"].float(), target["area"])
        for box, mask in zip(target["boxes"], target["masks"], strict=True):
            rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
            if len(rows):
                bounds = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
                assert (box - torch.tensor(bounds)).abs().max() <= 1
                objects += 1
            else:  # of a box of a pixel, the nearest point may be outside
                assert min(box[2] - box[0], box[3] - box[1]) <= 1.5
    assert objects > 50


def test_an_image_without_objects_can_be_changed():
    image, target = scene(np.random.default_rng(0))
    none = {
        key: type(value)(value[:0]) if key in ("labels", "area", "iscrowd") else value for key, value in target.items()
    }
    none["boxes"] = tv_tensors.BoundingBoxes(torch.zeros(0, 4), format="XYXY", canvas_size=image.shape[1:])
    none["masks"] = tv_tensors.Mask(torch.zeros(0, *image.shape[1:], dtype=torch.bool))
    for change in CHANGES.values():
        changed, kept = change(image, none)
        assert kept["boxes"].shape == (0, 4)
        assert kept["masks"].shape == (0, *changed.shape[1:])


def test_labels_move_with_the_image():
    pixels = torch.arange(40 * 60).reshape(40, 60)
    image, label = RandomSize(20, 30)(tv_tensors.Image(pixels[None].float()), tv_tensors.Mask(pixels))
    assert image.shape == (1, 20, 30)
    assert label.shape == (20, 30)
    assert (image[0] - label).abs().max() <= 61  # a pixel down and one to the right


def test_saturation_is_that_of_hsv_and_keeps_hue_and_value():
    image = torch.rand(3, 5, 7)
    for factor in (0.5, 1.0, 1.4):
        found = saturated(image, factor).double().flatten(1).T.tolist()
        for before, after in zip(image.double().flatten(1).T.tolist(), found, strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*before)
            expected = colorsys.hsv_to_rgb(hue, min(1, saturation * factor), value)
            assert after == pytest.approx(expected, abs=1e-5)


def test_distortion_is_drawn_within_its_limits_and_leaves_the_label():
    image, label = tv_tensors.Image(torch.full((3, 4, 4), 0.5)), tv_tensors.Mask(torch.ones(4, 4, dtype=torch.long))
    greys = set()
    for _ in range(50):
        changed, same = PhotometricDistortion(0.5)(image, label)
        assert torch.equal(same, label)
        grey = changed.flatten()[0].item()
        assert (0.5 - 32 / 255) * 0.5 - 1e-6 <= grey <= (0.5 + 32 / 255) * 1.5 + 1e-6
        greys.add(round(grey, 4))
    assert len(greys) > 20
    assert torch.equal(PhotometricDistortion(0.0)(image), image)

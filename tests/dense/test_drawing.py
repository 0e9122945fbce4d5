"""Pictures of segmentation and detection: what is right, false, missed and ignored has its colour."""

import torch

from vittasks.dense.drawing import (
    FALSE,
    IGNORED,
    MISSED,
    RIGHT,
    TRUTH,
    class_names,
    colour,
    detection_picture,
    matches,
    segmentation_picture,
)

SIDE = 64


def share(picture, shade):
    return (picture == torch.tensor(shade, dtype=torch.uint8)[:, None, None]).all(0).float().mean().item()


def test_errors_and_ignored_pixels_have_their_colours():
    truth = torch.zeros(SIDE, SIDE, dtype=torch.long)
    truth[:16] = 255
    found = truth.clone()
    found[:32] = 1  # a quarter of the pixels is ignored, a quarter is wrong
    picture = segmentation_picture(torch.randn(1, 2 * SIDE, 2 * SIDE), found, truth, 255)
    assert picture.shape == (3, 4 * SIDE, 4 * 4 * SIDE)
    _, of_truth, of_found, errors = picture.chunk(4, 2)
    assert share(of_truth, IGNORED) == 0.25
    assert share(of_truth, colour(0)) == 0.75
    assert share(of_found, colour(1)) == 0.5
    assert share(errors, FALSE) == share(errors, IGNORED) == 0.25
    assert segmentation_picture(torch.randn(3, 10, 20), found, None, 255).shape == (3, 4 * SIDE, 2 * 4 * SIDE)


def objects(*boxes, **more):
    return {"boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), **more}


def test_each_object_is_taken_once_by_the_best_detection_of_its_class():
    box, other, far = (0, 0, 20, 20), (2, 0, 22, 20), (40, 40, 60, 60)
    found = objects(other, box, box, far, scores=torch.tensor([0.9, 0.8, 0.7, 0.6]), labels=torch.tensor([1, 1, 2, 1]))
    right, missed = matches(found, objects(box, far, labels=torch.tensor([1, 2])))
    assert right.tolist() == [True, False, False, False]
    assert missed.tolist() == [False, True]
    right, missed = matches(found, objects(labels=torch.zeros(0, dtype=torch.long)))
    assert not right.any()
    assert len(missed) == 0


def test_right_false_and_missed_objects_have_their_colours():
    found = objects(
        (4, 30, 24, 50), (30, 30, 50, 50), (0, 0, 9, 9),
        scores=torch.tensor([0.9, 0.8, 0.1]), labels=torch.tensor([0, 1, 1]), masks=torch.zeros(3, 1, SIDE, SIDE),
    )  # fmt: skip
    truth = objects((4, 30, 24, 50), (40, 10, 60, 25), labels=torch.tensor([0, 1]), masks=torch.zeros(2, SIDE, SIDE))
    picture = detection_picture(torch.zeros(1, SIDE, SIDE), found, truth, ["cat", "dog"])
    assert picture.shape == (3, 4 * SIDE, 3 * 4 * SIDE)
    image, real, predicted = picture.chunk(3, 2)
    assert share(image, TRUTH) == 0
    assert share(real, TRUTH) > 0.01
    assert all(share(predicted, shade) > 0.005 for shade in (RIGHT, FALSE, MISSED))
    nothing = {name: value[:0] for name, value in found.items()}
    assert share(detection_picture(torch.zeros(3, SIDE, SIDE), nothing, None, ["cat", "dog"]), RIGHT) == 0


def test_pixels_of_two_masks_have_a_colour():
    masks = torch.zeros(2, 1, SIDE, SIDE)
    masks[:, :, 20:40, 20:40] = 1
    found = objects((20, 20, 40, 40), (20, 20, 40, 40), scores=torch.ones(2), labels=torch.tensor([0, 1]), masks=masks)
    predicted = detection_picture(torch.zeros(1, SIDE, SIDE), found, None, ["cat", "dog"])[:, :, 4 * SIDE :]
    assert predicted[:, 4 * 35, 4 * 35].any()


def test_names_of_classes_hold_no_slash_and_numbers_stand_for_missing_ones():
    assert class_names(["a/b", "c"], 2) == ["a-b", "c"]
    assert class_names(None, 2) == class_names(["a"], 2) == ["0", "1"]

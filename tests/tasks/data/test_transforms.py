"""The augmentation works on every kind of image at every strength that its policies draw."""

import numpy as np
import pytest
import torch
from PIL import Image

from vittasks.data.sampling import global_generators
from vittasks.data.transforms import MEAN, STD, evaluation_transform, operations, per_channel, training_transform

DEIT = "rand-m9-mstd0.5-inc1"


def transform_of(channels: int, policy: str | None = DEIT, crop: str = "resized"):
    mean, std = per_channel("mean", MEAN, channels), per_channel("std", STD, channels)
    return training_transform(32, "bicubic", policy, 0.3, 0.25, mean, std, crop)


def photograph(mode: str) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(256, size=(40, 50, 3), dtype=np.uint8)).convert(mode)


@pytest.mark.parametrize("policy", [DEIT, "v0-mstd0.5", "original", "augmix-m5-w4-d2", "3a"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_operation_of_a_policy_works_at_the_greatest_strength(policy, mode):
    found = list(operations(transform_of(len(mode), policy).photograph))
    assert found
    for operation in found:
        operation.prob, operation.magnitude, operation.magnitude_std = 1.0, 10, 0
        assert operation(photograph(mode)).size == (50, 40)


def test_an_image_with_no_bits_kept_is_black():
    (operation,) = [one for one in operations(transform_of(3).photograph) if one.name == "PosterizeIncreasing"]
    operation.prob, operation.magnitude, operation.magnitude_std = 1.0, 10, 0
    assert not np.asarray(operation(photograph("RGB"))).any()
    operation.magnitude = 5
    assert np.array_equal(np.asarray(operation(photograph("RGB"))), np.asarray(photograph("RGB")) & 0b11000000)


@pytest.mark.parametrize("channels", [1, 6])
@pytest.mark.parametrize("crop", ["resized", "padded"])
def test_tensors_take_crop_flip_and_erasing(channels, crop):
    transform = transform_of(channels, crop=crop)
    image = torch.rand(channels, 40, 50)
    views = []
    for index in (0, 0, 1):
        with global_generators(0, 0, index):
            views.append(transform(image))
    assert views[0].shape == (channels, 32, 32)
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])


def test_photographs_and_tensors_of_the_same_image_are_evaluated_alike():
    transform = evaluation_transform(32, "bicubic", 0.875, (0.5,), (0.25,))
    smooth = Image.fromarray(np.random.default_rng(0).integers(256, size=(5, 6), dtype=np.uint8)).resize((60, 50))
    of_photograph = transform(smooth)
    of_tensor = transform(torch.from_numpy(np.array(smooth, dtype=np.float32))[None] / 255)
    assert torch.allclose(of_photograph, of_tensor, atol=0.05)


def test_other_than_three_channels_take_imagenet_s_average():
    assert per_channel("mean", MEAN, 3) == MEAN
    assert per_channel("mean", MEAN, 2) == (sum(MEAN) / 3,) * 2
    assert per_channel("std", [0.5], 4) == (0.5,) * 4

"""Segmentation data: how images and labels are transformed for training."""

import pytest
import torch
from torchvision import tv_tensors

from tests.dense.data.trees import write_ade20k
from vittasks import SegmentationFolder
from vittasks.data.dense.paired_transforms import FittingCrop, PadTo, RandomSize


@pytest.fixture
def root(tmp_path):
    return write_ade20k(tmp_path)


def data(root, **arguments):
    plain = {"num_classes": 3, "crop": 8, "shortest": 0, "batch_size": 2, "workers": 0}
    return SegmentationFolder(str(root), **plain | arguments)


def test_training_crops_are_drawn_by_seed_and_epoch(root):
    def crops(**arguments):
        module = data(root, **arguments)
        module.setup("fit")
        loader = module.train_dataloader()
        loader.sampler.set_epoch(1)
        return next(iter(loader))

    one, again, other = crops(), crops(), crops(seed=1)
    assert one[0].shape == (2, 3, 8, 8)
    assert one[1].shape == (2, 8, 8)
    assert torch.equal(one[0], again[0])
    assert not torch.equal(one[0], other[0])


def test_a_small_image_is_padded_by_zero_and_the_ignored_label():
    image, label = tv_tensors.Image(torch.ones(3, 2, 3)), tv_tensors.Mask(torch.ones(2, 3, dtype=torch.long))
    padded, labels = PadTo(4, 255)(*FittingCrop(4, 0.75, 255)(image, label))
    assert padded.shape == (3, 4, 4)
    assert torch.equal(padded[0] == 0, labels == 255)
    assert padded[0, :2, :3].all()


def test_a_crop_of_one_class_is_drawn_again():
    label = torch.zeros(1, 64, dtype=torch.long)
    label[:, 60:] = 1
    image = tv_tensors.Image(torch.zeros(1, 1, 64))
    mixed = [FittingCrop(8, 0.75, 255)(image, tv_tensors.Mask(label))[1].unique().numel() > 2 for _ in range(40)]
    plain = [FittingCrop(8, 1.1, 255)(image, tv_tensors.Mask(label))[1].unique().numel() > 2 for _ in range(40)]
    assert sum(mixed) >= sum(plain)


def test_sizes_keep_both_limits_times_the_factor():
    image, label = tv_tensors.Image(torch.zeros(1, 30, 90)), tv_tensors.Mask(torch.zeros(30, 90, dtype=torch.long))
    assert RandomSize(20, 200)(image, label)[0].shape == (1, 20, 60)
    assert RandomSize(20, 45)(image, label)[0].shape == (1, 15, 45)
    assert RandomSize(20, 200, (2.0, 2.0))(image, label)[1].shape == (40, 120)

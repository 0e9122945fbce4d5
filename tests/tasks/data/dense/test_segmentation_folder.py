"""Folders of images and labels: what is read, what is wrong with them, and how they are transformed."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from vittasks import SegmentationFolder
from vittasks.data.dense.paired_transforms import FittingCrop, RandomSize


@pytest.fixture
def root(tmp_path):
    """Two training images and one for validation, colour, 12 x 20; labels 0 to 3, where 0 stands for no class."""
    draw = np.random.default_rng(0)
    for split, count in (("training", 2), ("validation", 1)):
        for kind in ("images", "annotations"):
            (tmp_path / kind / split).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(draw.integers(0, 256, (12, 20, 3), np.uint8)).save(
                tmp_path / f"images/{split}/{number}.jpg"
            )
            Image.fromarray(draw.integers(0, 4, (12, 20), np.uint8)).save(
                tmp_path / f"annotations/{split}/{number}.png"
            )
    return tmp_path


def data(root, **arguments):
    plain = {"num_classes": 3, "crop": 8, "shortest": 0, "batch_size": 2, "workers": 0}
    return SegmentationFolder(str(root), **plain | arguments)


def test_zero_stands_for_no_class_or_for_the_first(root):
    pixels = torch.from_numpy(np.array(Image.open(root / "annotations/validation/0.png"))).long()
    for zero, classes, expected in (("ignored", 3, (pixels - 1) % 256), ("class", 4, pixels)):
        module = data(root, zero=zero, num_classes=classes)
        module.setup("test")
        image, label = next(iter(module.test_dataloader()))
        assert image.shape == (1, 3, 12, 20)
        assert torch.equal(label[0], expected)


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


def spoil_cut_off(root):
    path = root / "images/training/0.jpg"
    path.write_bytes(path.read_bytes()[:300])
    return "a file that cannot be read as an image"


def spoil_missing(root):
    (root / "annotations/training/0.png").unlink()
    return "an image without labels"


def spoil_left_over(root):
    Image.new("L", (20, 12)).save(root / "annotations/training/7.png")
    return "labels without an image"


def spoil_size(root):
    Image.new("L", (19, 12)).save(root / "annotations/training/0.png")
    return "labels of another size than the image"


def spoil_class(root):
    Image.new("L", (20, 12), 9).save(root / "annotations/training/0.png")
    return "a label that stands for no class"


SPOILS = [spoil_cut_off, spoil_missing, spoil_left_over, spoil_size, spoil_class]


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_fault_is_named_and_counted_and_refused_or_left_out(root, spoil, capsys):
    kind = spoil(root)
    with pytest.raises(ValueError, match=rf"has faults: 1 x {kind} \(such as .*on_fault=skip"):
        data(root).setup("fit")
    module = data(root, on_fault="skip")
    module.setup("fit")
    assert module.skipped == 1
    assert f"left out: 1 x {kind}" in capsys.readouterr().err
    assert len(module.data["train"]) == (2 if spoil is spoil_left_over else 1)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no folder .*training; expected ROOT/images/SPLIT/NAME.jpg"):
        data(tmp_path).setup("fit")


def test_a_small_image_is_padded_by_zero_and_the_ignored_label():
    image, label = tv_tensors.Image(torch.ones(3, 2, 3)), tv_tensors.Mask(torch.ones(2, 3, dtype=torch.long))
    cropped, labels = FittingCrop(4, 0.75, 255)(image, label)
    assert cropped.shape == (3, 4, 4)
    assert torch.equal(cropped[0] == 0, labels == 255)
    assert (labels == 255).any()


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

"""CIFAR's files as their authors pack them, made here with a few images."""

import os

import numpy as np
import pytest
import torch

from tests.tasks.data.trees import pack_cifar
from vittasks import CIFAR


@pytest.fixture
def ten(tmp_path):
    for number in range(1, 6):
        pack_cifar(tmp_path / "cifar-10-batches-py" / f"data_batch_{number}", 4, 10, number)
    return pack_cifar(tmp_path / "cifar-10-batches-py" / "test_batch", 6, 10, 9)


def data_of(root, **arguments):
    data = CIFAR(str(root), **({"batch_size": 4} | arguments))
    data.check_data()
    data.setup("fit")
    return data


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-py"])
def test_the_test_images_are_those_of_the_file_and_validate_too(inside, ten, tmp_path):
    pixels, labels = ten
    data = data_of(tmp_path / inside)
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)))
    for loader in (data.val_dataloader(), data.test_dataloader()):
        images = torch.cat([batch for batch, _ in loader])
        assert torch.equal((images * std + mean).mul(255).round(), torch.from_numpy(pixels).float())
        assert torch.cat([batch for _, batch in loader]).tolist() == labels


def test_a_training_image_is_moved_by_up_to_4_pixels(ten, tmp_path):
    dataset = data_of(tmp_path, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)).train_dataloader().dataset
    whole = torch.from_numpy(np.array(dataset.images[0][0])).permute(2, 0, 1).float()
    padded = torch.nn.functional.pad(whole, (4, 4, 4, 4))
    places = {(y, x, flipped) for y in range(9) for x in range(9) for flipped in (False, True)}

    def place_of(image):
        for y, x, flipped in places:
            part = padded[:, y : y + 32, x : x + 32]
            if torch.equal(image.mul(255).round(), part.flip(-1) if flipped else part):
                return y, x, flipped
        return None

    seen = {place_of(dataset[epoch, 0][0]) for epoch in range(8)}
    assert None not in seen
    assert len(seen) > 1


def test_images_held_out_for_validation_are_not_trained_on(ten, tmp_path):
    data = data_of(tmp_path, val_size=5)
    train, val = data.splits["train"], data.splits["val"]
    assert (len(train), len(val)) == (15, 5)
    assert not {image.tobytes() for image in train.pixels} & {image.tobytes() for image in val.pixels}
    assert data.fingerprint() == data_of(tmp_path, val_size=5, seed=1).fingerprint() != data_of(tmp_path).fingerprint()


def test_a_hundred_classes(tmp_path):
    pack_cifar(tmp_path / "cifar-100-python" / "train", 200, 100, 0)
    pack_cifar(tmp_path / "cifar-100-python" / "test", 100, 100, 1)
    assert data_of(tmp_path, classes=100).num_classes == 100
    assert data_of(tmp_path, classes=100).class_names is None
    assert CIFAR(str(tmp_path)).class_names[:2] == ["airplane", "automobile"]


class Attack:
    def __reduce__(self):
        return os.system, ("false",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": Attack()}, r"\(it asks for posix.system\)"),
        ({"labels": [10] * 6}, r"\(its labels lie in 10..10\)"),
        ({"data": np.zeros((6, 12), np.uint8)}, r"\(its images are uint8 \(6, 12\)\)"),
    ],
)
def test_a_file_that_is_not_cifar_s_is_named(changes, message, ten, tmp_path):
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    pack_cifar(path, 6, 10, 0, **changes)
    with pytest.raises(ValueError, match=rf"CIFAR: {path} is not a file of CIFAR-10's python version {message}"):
        data_of(tmp_path)


def test_missing_files_are_named_before_the_training(ten, tmp_path):
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(
        ValueError, match=r"there is no file .*/cifar-10-batches-py/data_batch_3; unpack the python version"
    ):
        data_of(tmp_path)
    with pytest.raises(ValueError, match=r"data.crop is padded, which needs data.img_size=32, got 64"):
        CIFAR(str(tmp_path), img_size=64)

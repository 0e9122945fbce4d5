"""COCO files: what is read, and what is wrong with them."""

import json

import pytest
import torch
from PIL import Image

from vittasks import DigitDetection, SceneRecipe
from vittasks.data.dense.coco_objects import Pictures, read_coco
from vittasks.data.dense.faults import Faults

SQUARE = [[2, 3, 8, 3, 8, 9, 2, 9]]


@pytest.fixture
def content(tmp_path):
    """One image of 10 x 12 with an object and a crowd; the folder holds it."""
    Image.new("L", (12, 10)).save(tmp_path / "a.png")
    plain = {"image_id": 7, "category_id": 20, "bbox": [2, 3, 6, 6], "area": 36, "segmentation": SQUARE}
    crowd = {"iscrowd": 1, "segmentation": {"size": [10, 12], "counts": [0, 120]}, "bbox": [0, 0, 12, 10]}
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": 10, "width": 12}],
        "annotations": [plain | {"id": 1, "iscrowd": 0}, plain | crowd | {"id": 2}],
        "categories": [{"id": 20, "name": "cat"}, {"id": 3, "name": "dog"}],
    }


def read(tmp_path, content, on_fault="refuse"):
    (tmp_path / "objects.json").write_text(json.dumps(content))
    faults = Faults("Test", tmp_path, on_fault)
    file = read_coco(tmp_path / "objects.json", tmp_path, faults)
    faults.settle()
    return file, faults.count


def test_boxes_classes_and_masks_are_read_and_crowds_are_for_the_evaluation(tmp_path, content):
    file, _ = read(tmp_path, content)
    assert file.names == ["dog", "cat"]
    image, target = Pictures(file, 1, None, "left out", 0)[0]
    assert image.shape == (1, 10, 12)
    assert target["boxes"].tolist() == [[2, 3, 8, 9]]
    assert target["labels"].tolist() == [1]
    assert target["masks"][0, 3:9, 2:8].all()
    assert type(target["boxes"]) is torch.Tensor
    _, whole = Pictures(file, 1, None, "kept", 0)[0]
    assert whole["iscrowd"].tolist() == [0, 1]
    assert whole["masks"][1].all()


def change(**values):
    def spoil(content):
        content["annotations"][0] |= values

    return spoil


def double(content):
    content["images"] *= 2


def lose(content):
    content["images"][0]["file_name"] = "b.png"


SPOILS = {
    "a box of no area": change(bbox=[2, 3, 0, 6]),
    "a box outside its image": change(bbox=[2, 3, 20, 6]),
    "an unknown category": change(category_id=99),
    "objects of an image that is not listed": change(image_id=8),
    "an image number that occurs twice": double,
    "an image that is not there": lose,
}


@pytest.mark.parametrize("kind", SPOILS)
def test_a_fault_is_named_and_counted_and_refused_or_left_out(tmp_path, content, kind):
    SPOILS[kind](content)
    with pytest.raises(ValueError, match=rf"has faults: \d x {kind}"):
        read(tmp_path, content)
    assert read(tmp_path, content, "skip")[1] >= 1


def test_an_image_of_another_size_is_refused_when_it_is_read(tmp_path, content):
    content["images"][0]["width"] = 13
    file, _ = read(tmp_path, content)
    with pytest.raises(ValueError, match=r"another size than its JSON file says"):
        Pictures(file, 1, None, "left out", 0)[0]


@pytest.mark.parametrize(
    ("text", "words"), [("[]", "it has no list images, annotations, categories"), ("{", "cannot be read as JSON")]
)
def test_what_is_no_coco_file_is_refused(tmp_path, text, words):
    (tmp_path / "objects.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_coco(tmp_path / "objects.json", tmp_path, Faults("Test", tmp_path, "refuse"))


def test_the_written_digits_are_read_as_objects(tmp_path):
    data = DigitDetection(str(tmp_path), SceneRecipe(training=4, validation=1, test=1), batch_size=2)
    data.prepare_data()
    data.setup("fit")
    images, targets = next(iter(data.train_dataloader()))
    assert [one.shape for one in images] == [(1, 64, 64)] * 2
    for target in targets:
        for box, mask in zip(target["boxes"], target["masks"], strict=True):
            rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
            assert box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]

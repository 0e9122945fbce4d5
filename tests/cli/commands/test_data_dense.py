"""vitcli data check on labels of pixels and on objects: the layout is known by its folders, every fault is a line."""

import json

import pytest

from tests.dense.data.trees import write_ade20k, write_cityscapes, write_coco, write_pascal
from vitcli.main import main

WRITERS = {
    "ade20k": (write_ade20k, ["ADE20KLabels"]),
    "cityscapes": (write_cityscapes, ["CityscapesLabels"]),
    "pascal": (write_pascal, ["PascalLabels", "PascalObjects"]),
    "coco": (write_coco, ["CocoObjects"]),
}


@pytest.fixture
def check(capsys):
    def run(*words):
        code = main(["data", "check", *map(str, words)])
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize("name", WRITERS)
def test_a_layout_is_known_by_its_folders(tmp_path, check, name):
    write, layouts = WRITERS[name]
    code, text = check(write(tmp_path), "--format", "json")
    found = json.loads(text)
    assert [one["layout"] for one in found] == layouts
    assert code == 0
    assert all([split["images"] for split in one["splits"].values()] == [2, 1] for one in found)


def test_objects_are_counted_by_class(tmp_path, check):
    assert check(write_coco(tmp_path)) == (
        0,
        "instances_train2017: 2 images with 4 objects in 2 classes, 2 to 2 in a class\n"
        "  width x height, smallest / median / largest: 20 x 12 / 20 x 12 / 20 x 12; faults: none\n"
        "instances_val2017: 1 images with 3 objects in 2 classes, 1 to 2 in a class\n"
        "  width x height, smallest / median / largest: 20 x 12 / 20 x 12 / 20 x 12; faults: none\n"
        f"{tmp_path} as vittasks.CocoObjects: no problem found\n",
    )
    file = tmp_path / "annotations/instances_val2017.json"
    assert check(file, "--images", tmp_path / "val2017")[0] == 0
    code, text = check(file)
    assert code == 2
    assert f"problem: an image file that is missing: {tmp_path / 'annotations' / 'c.jpg'}" in text


def test_every_fault_is_a_line(tmp_path, check):
    write_ade20k(tmp_path)
    (tmp_path / "annotations/training/a.png").unlink()
    image = tmp_path / "images/validation/c.jpg"
    image.write_bytes(image.read_bytes()[:200])
    code, text = check(tmp_path)
    problems = [line.removeprefix("problem: ") for line in text.splitlines() if line.startswith("problem: ")]
    assert code == 2
    assert problems[0] == f"an image without labels: {tmp_path / 'images/training/a.jpg'}"
    assert problems[1].startswith(f"a file that cannot be read as an image: {image} (")
    assert "faults: 1 x an image without labels" in text
    assert text.splitlines()[-1] == f"{tmp_path} as vittasks.ADE20KLabels: 2 problems"

"""Every layout of labels and objects: what is read, what is wrong with it, and what is left out."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.dense.data.trees import SIZE, write_ade20k, write_cityscapes, write_coco, write_pascal
from vittasks import (
    ADE20KLabels,
    CityscapesLabels,
    CocoLabels,
    CocoObjects,
    DetectionFolder,
    PascalLabels,
    PascalObjects,
    SegmentationFolder,
)

LABELS = {
    "ade20k": (write_ade20k, ADE20KLabels(), {"num_classes": 3}, {0, 1, 2, 255}),
    "ade20k_zero": (write_ade20k, ADE20KLabels(zero="class"), {"num_classes": 4}, {0, 1, 2, 3}),
    "cityscapes": (write_cityscapes, CityscapesLabels(), {}, {0, 18, 255}),
    "cityscapes_train_ids": (write_cityscapes, CityscapesLabels(labels="train_ids"), {}, {0, 18, 255}),
    "pascal": (write_pascal, PascalLabels(), {}, {0, 12, 255}),
    "coco": (write_coco, CocoLabels(), {"num_classes": 3}, {0, 1, 2}),
    "coco_objects_alone": (write_coco, CocoLabels(background="ignored"), {"num_classes": 2}, {0, 1, 255}),
}
OBJECTS = {"coco": (write_coco, CocoObjects(), 2), "pascal": (write_pascal, PascalObjects(), None)}


def labels(root, layout, **arguments):
    plain = {"crop": 8, "shortest": 0, "batch_size": 2, "workers": 0}
    return SegmentationFolder(str(root), layout, **plain | arguments)


def objects(root, layout, num_classes, **arguments):
    return DetectionFolder(str(root), layout, num_classes, **{"batch_size": 2, "workers": 0} | arguments)


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_every_layout_are_read_as_classes(tmp_path, name):
    write, layout, arguments, classes = LABELS[name]
    data = labels(write(tmp_path), layout, **arguments)
    data.check_data()
    data.setup("test")
    image, label = next(iter(data.test_dataloader()))
    assert image.shape == (1, 3, *SIZE)
    assert label.shape == (1, *SIZE)
    assert set(label.unique().tolist()) == classes
    assert data.notes() == []
    images, crops = next(iter(data.train_dataloader()))
    assert images.shape == (2, 3, 8, 8)
    assert crops.dtype == torch.int64


def test_both_forms_of_cityscapes_are_the_same_labels(tmp_path):
    write_cityscapes(tmp_path)
    both = [labels(tmp_path, CityscapesLabels(labels=form)).split("train") for form in ("ids", "train_ids")]
    for index in range(2):
        assert torch.equal(both[0].read(index)[1], both[1].read(index)[1])
    assert labels(tmp_path, CityscapesLabels()).num_classes == 19


def test_pixels_of_coco_belong_to_the_smallest_object(tmp_path):
    _, label = labels(write_coco(tmp_path), CocoLabels(), num_classes=3).split("val").read(0)
    expected = torch.zeros(SIZE, dtype=torch.long)
    expected[3:9, 2:8] = 1
    expected[5:8, 4:6] = 2
    expected[:, 15:17] = 1
    assert torch.equal(label, expected)


@pytest.mark.parametrize("name", OBJECTS)
def test_crowds_are_for_the_evaluation_and_names_come_from_the_data(tmp_path, name):
    write, layout, classes = OBJECTS[name]
    data = objects(write(tmp_path), layout, classes)
    data.check_data()
    images, targets = next(iter(data.train_dataloader()))
    assert [one.shape for one in images] == [(3, *SIZE)] * 2
    assert not any(one["iscrowd"].any() for one in targets)
    (_, (target,)) = next(iter(data.test_dataloader()))
    crowd = target["iscrowd"].tolist().index(1)
    assert data.class_names[target["labels"][crowd]] == "cat"
    assert [2, 3, 8, 9] in target["boxes"].tolist()
    assert ("masks" in target) == (name == "coco")
    assert all(type(value) is torch.Tensor for value in target.values())


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def of_object(**values):
    return lambda root: edit(
        root / "annotations/instances_train2017.json", lambda one: one["annotations"][0].update(values)
    )


def of_image(**values):
    return lambda root: edit(root / "annotations/instances_train2017.json", lambda one: one["images"][0].update(values))


def without(section, key):
    return lambda root: edit(root / "annotations/instances_train2017.json", lambda one: one[section][0].pop(key))


def replaced(name, old, new):
    return lambda root: (root / name).write_text((root / name).read_text().replace(old, new, 1))


def doubled(section):
    return lambda root: edit(
        root / "annotations/instances_train2017.json", lambda one: one[section].append(one[section][0])
    )


def removed(name):
    return lambda root: (root / name).unlink()


def cut(name):
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[:200])


def drawn(name, size, value, mode="L"):
    return lambda root: Image.new(mode, size, value).save(root / name)


def turned(name):
    """Let EXIF say that the camera was held upright: the image is shown turned by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return lambda root: Image.open(root / name).save(root / name, exif=exif)


# What is spoilt, the fault that it is called, and how many images are left of two.
FAULTS = {
    "ade20k": [
        (cut("images/training/a.jpg"), "a file that cannot be read as an image", 1),
        (removed("annotations/training/a.png"), "an image without labels", 1),
        (removed("images/training/a.jpg"), "labels without an image", 1),
        (drawn("annotations/training/a.png", (19, 12), 1), "labels of another size than the image", 1),
        (drawn("annotations/training/a.png", (20, 12), 9), "a label that stands for no class", 1),
        (drawn("annotations/training/a.png", (20, 12), 300, "I;16"), "a label that stands for no class", 1),
        (drawn("annotations/training/a.png", (20, 12), 0, "RGB"), "labels that are colours instead of numbers", 1),
        (drawn("images/training/a.png", (20, 12), 0), "images that share one file of labels", 1),
        (turned("images/training/a.jpg"), "labels of another size than the image", 1),
    ],
    "cityscapes": [
        (removed("gtFine/train/bern/a_gtFine_labelIds.png"), "an image without labels", 1),
        (drawn("gtFine/train/bern/a_gtFine_labelIds.png", (20, 12), 34), "a label that stands for no class", 1),
    ],
    "pascal": [
        (removed("JPEGImages/a.jpg"), "an image file that is missing", 1),
        (removed("SegmentationClass/a.png"), "an image without labels", 1),
        (drawn("SegmentationClass/a.png", (20, 12), 21), "a label that stands for no class", 1),
        (replaced("ImageSets/Segmentation/train.txt", "b", "a"), "an image that is listed twice", 1),
    ],
    "coco": [
        (of_object(segmentation=[[1, 2, 3, 4]]), "a mask that cannot be read", 1),
        (of_image(width=19), "a mask that cannot be read", 1),
    ],
}
OBJECT_FAULTS = {
    "coco": [
        (cut("train2017/a.jpg"), "a file that cannot be read as an image", 1),
        (removed("train2017/a.jpg"), "an image file that is missing", 1),
        (drawn("train2017/a.jpg", (19, 12), 0), "an image whose size differs from its entry", 1),
        (of_object(bbox=[2, 3, 0, 6]), "a box without area", 2),
        (of_object(bbox=[2, 3, 26, 6]), "a box outside its image", 2),
        (of_object(bbox=[2, 3, float("nan"), 6]), "a box whose coordinates are not numbers", 2),
        (of_object(bbox=[2, 3, 4]), "a box that is not a list of four numbers", 2),
        (of_object(bbox=["2", "3", "6", "6"]), "a box whose coordinates are not numbers", 2),
        (of_object(bbox=[2, 3, 10**400, 6]), "a box whose coordinates are not numbers", 2),
        (of_object(area="36"), "an object whose area is not a number of at least 0", 2),
        (of_object(area=None), "an object whose area is not a number of at least 0", 2),
        (of_object(iscrowd="0"), "an object whose iscrowd is neither 0 nor 1", 2),
        (of_object(category_id=1.0), "an object whose category_id is not a whole number", 2),
        (of_image(id=1.0), "an image whose id is not a whole number or text", 1),
        (of_image(file_name="b.jpg"), "an image that is listed under two numbers", 1),
        (turned("train2017/a.jpg"), "an image whose size differs from its entry", 1),
        (of_object(category_id=99), "an unknown category", 2),
        (of_object(image_id=8), "objects of an image that is not listed", 2),
        (of_object(segmentation={"size": [12, 20], "counts": [3]}), "a mask that cannot be read", 1),
        (without("annotations", "bbox"), "an object without bbox", 2),
        (without("annotations", "segmentation"), "an object without a mask", 2),
        (without("images", "height"), "an image without height", 1),
        (doubled("images"), "an image number that occurs twice", 1),
        (doubled("categories"), "a category number that occurs twice", 2),
    ],
    "pascal": [
        (removed("Annotations/a.xml"), "an image without a file of objects", 1),
        (cut("Annotations/a.xml"), "a file of objects that cannot be read", 1),
        (replaced("Annotations/a.xml", "<xmin>3</xmin>", ""), "a file of objects that cannot be read", 1),
        (replaced("Annotations/a.xml", "<width>20", "<width>30"), "an image whose size differs from its entry", 1),
        (replaced("Annotations/a.xml", "dog", "wolf"), "an unknown category", 2),
        (replaced("Annotations/a.xml", "<xmin>3", "<xmin>9"), "a box without area", 2),
        (replaced("Annotations/a.xml", "<xmax>8", "<xmax>28"), "a box outside its image", 2),
    ],
}


def assert_fault(make, kind, left, capsys):
    with pytest.raises(
        ValueError, match=rf"has faults: .*\d x {kind} \(such as .*leave them out with data.on_fault=skip"
    ):
        make("refuse").split("train")
    data = make("skip")
    assert len(data.split("train")) == left
    assert f"left out: 1 x {kind} (such as " in capsys.readouterr().err.replace("left out: 2 x", "left out: 1 x")
    (note,) = data.notes()
    assert note.startswith("left out of train: ")
    assert kind in note
    again = make("skip")  # the answer is remembered
    assert len(again.split("train")) == left
    assert again.notes() == [note]


@pytest.mark.parametrize(("name", "number"), [(name, n) for name, all_ in FAULTS.items() for n in range(len(all_))])
def test_a_fault_of_labels_is_named_and_counted_and_refused_or_left_out(tmp_path, name, number, capsys):
    write, layout, arguments, _ = LABELS[name]
    spoil, kind, left = FAULTS[name][number]
    spoil(write(tmp_path))
    assert_fault(lambda on_fault: labels(tmp_path, layout, **arguments, on_fault=on_fault), kind, left, capsys)


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, all_ in OBJECT_FAULTS.items() for n in range(len(all_))]
)
def test_a_fault_of_objects_is_named_and_counted_and_refused_or_left_out(tmp_path, name, number, capsys):
    write, layout, classes = OBJECTS[name]
    spoil, kind, left = OBJECT_FAULTS[name][number]
    spoil(write(tmp_path))
    assert_fault(lambda on_fault: objects(tmp_path, layout, classes, on_fault=on_fault), kind, left, capsys)


@pytest.mark.parametrize("form", ["palette", "16 bits"])
def test_labels_are_the_numbers_of_a_palette_and_of_16_bits(tmp_path, form):
    write_ade20k(tmp_path)
    path = tmp_path / "annotations/validation/c.png"
    expected = labels(tmp_path, ADE20KLabels(), num_classes=3).split("val").read(0)[1]
    with Image.open(path) as image:
        numbers = np.array(image)
    changed = Image.fromarray(numbers if form == "palette" else numbers.astype(np.uint16))
    if form == "palette":
        changed.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 9, 9, 9])
    changed.save(path)
    with Image.open(path) as image:
        assert image.mode == {"palette": "P", "16 bits": "I;16"}[form]
    assert torch.equal(labels(tmp_path, ADE20KLabels(), num_classes=3).split("val").read(0)[1], expected)


def test_an_image_is_turned_as_exif_says_and_keeps_its_16_bits(tmp_path):
    write_coco(tmp_path)
    turned("val2017/c.jpg")(tmp_path)
    edit(
        tmp_path / "annotations/instances_val2017.json",
        lambda one: one.update(annotations=[], images=[{**one["images"][0], "height": 20, "width": 12}]),
    )
    with Image.open(tmp_path / "val2017/c.jpg") as stored:
        raw = torch.from_numpy(np.array(stored)).permute(2, 0, 1) / 255
    image, _ = objects(tmp_path, CocoObjects(), 2).split("val").read(0)
    assert torch.equal(image, raw.rot90(-1, (1, 2)))
    pixels = np.arange(240, dtype=np.uint16).reshape(20, 12) * 200
    Image.fromarray(pixels).save(tmp_path / "val2017/c.png")
    edit(tmp_path / "annotations/instances_val2017.json", lambda one: one["images"][0].update(file_name="c.png"))
    grey, _ = objects(tmp_path, CocoObjects(), 2, channels=1).split("val").read(0)
    assert torch.equal((grey[0] * 65535).round(), torch.from_numpy(pixels.astype(np.float32)))


@pytest.mark.parametrize("check", ["heads", "names"])
def test_what_was_not_looked_at_is_named_when_it_is_read(tmp_path, check):
    write_coco(tmp_path)
    of_object(segmentation=[[1, 2, 3, 4]])(tmp_path)
    data = objects(tmp_path, CocoObjects(), 2, check=check)
    data.check_data()
    with pytest.raises(ValueError, match=r"DetectionFolder: a mask that cannot be read: .*a.jpg .*data.check=all"):
        list(data.train_dataloader())
    cut("train2017/a.jpg")(tmp_path)
    data = objects(tmp_path, CocoObjects(), 2, check=check)
    if check == "names":
        data.check_data()
    else:
        with pytest.raises(ValueError, match="1 x a file that cannot be read as an image"):
            data.check_data()


def test_boxes_alone_need_no_masks(tmp_path):
    write_coco(tmp_path)
    without("annotations", "segmentation")(tmp_path)
    data = objects(tmp_path, CocoObjects(masks="ignored"), 2)
    data.check_data()
    assert "masks" not in data.split("train")[0][1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "is not a COCO file of objects: it has no list images, annotations, categories"),
        ("{", "cannot be read as JSON"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": "x"}]}',
            "it has a category whose id is not a whole number",
        ),
        ('{"images": [], "annotations": [], "categories": []}', "0 classes|holds no image"),
    ],
)
def test_a_file_that_is_not_coco_is_refused(tmp_path, text, words):
    write_coco(tmp_path)
    (tmp_path / "annotations/instances_train2017.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        objects(tmp_path, CocoObjects(), 2).check_data()


@pytest.mark.parametrize("name", LABELS)
def test_a_folder_that_is_not_there_is_refused_with_what_was_expected(tmp_path, name):
    _, layout, arguments, _ = LABELS[name]
    with pytest.raises(
        ValueError, match=r"no folder .*; expected ROOT|no list .*; expected ROOT|cannot be read as JSON"
    ):
        labels(tmp_path, layout, **arguments).check_data()


def test_a_wrong_number_of_classes_is_refused_with_the_fix(tmp_path):
    with pytest.raises(ValueError, match=r"data.num_classes is 80, but the data have 2 classes .*data.num_classes=2"):
        objects(write_coco(tmp_path), CocoObjects(), None).check_data()


def test_images_without_objects_are_kept_or_dropped_and_small_ones_left_out(tmp_path):
    write_coco(tmp_path)
    edit(tmp_path / "annotations/instances_train2017.json", lambda one: one.update(annotations=one["annotations"][:3]))
    assert len(objects(tmp_path, CocoObjects(), 2).split("train")) == 2
    assert len(objects(tmp_path, CocoObjects(), 2, without_objects="drop").split("train")) == 1
    with pytest.raises(ValueError, match="holds no image that can be used"):
        objects(tmp_path, CocoObjects(), 2, smallest_side=13).split("train")
    assert len(objects(tmp_path, CocoObjects(), 2, smallest_side=13).split("val")) == 1


def test_the_fingerprint_follows_the_files(tmp_path):
    write_ade20k(tmp_path)
    before = labels(tmp_path, ADE20KLabels()).fingerprint()
    assert labels(tmp_path, ADE20KLabels()).fingerprint() == before
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "annotations/validation/c.png")
    assert labels(tmp_path, ADE20KLabels()).fingerprint() != before

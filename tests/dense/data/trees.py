"""Tiny data sets on disk in each layout: two images for training and one for validation, 12 x 20 pixels and in colour."""

import json

import numpy as np
from PIL import Image

SIZE = (12, 20)
SPLITS = {"train": ["a", "b"], "val": ["c"]}

XML = """<annotation><size><width>20</width><height>12</height><depth>3</depth></size>
<object><name>dog</name><difficult>0</difficult>
<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>8</xmax><ymax>9</ymax></bndbox></object>
<object><name>cat</name><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>12</ymax></bndbox></object></annotation>"""


def draw_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(len(path.name) + ord(path.stem[0]))
    Image.fromarray(draw.integers(0, 256, (*SIZE, 3), np.uint8)).save(path)


def draw_label(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(ord(path.stem[0]))
    Image.fromarray(draw.choice(np.array(values, np.uint8), SIZE)).save(path)


def write_ade20k(root, splits=SPLITS):
    """Labels 0 to 3, where 0 stands for no class."""
    for split, names in zip(("training", "validation"), splits.values(), strict=True):
        for name in names:
            draw_image(root / f"images/{split}/{name}.jpg")
            draw_label(root / f"annotations/{split}/{name}.png", [0, 1, 2, 3])
    return root


def write_cityscapes(root):
    """Labels in both forms: road and bicycle, the ego vehicle, which is ignored."""
    for split, names in SPLITS.items():
        for name in names:
            draw_image(root / f"leftImg8bit/{split}/bern/{name}_leftImg8bit.png")
            ids = root / f"gtFine/{split}/bern/{name}_gtFine_labelIds.png"
            draw_label(ids, [1, 7, 33])
            table = np.full(256, 255, np.uint8)
            table[7], table[33] = 0, 18
            Image.fromarray(table[np.array(Image.open(ids))]).save(ids.with_name(f"{name}_gtFine_labelTrainIds.png"))
    return root


def write_pascal(root):
    """Labels 0, 12 and 255 with a palette; a dog and a difficult cat in each image."""
    for kind in ("Segmentation", "Main"):
        (root / "ImageSets" / kind).mkdir(parents=True)
        for split, names in SPLITS.items():
            (root / "ImageSets" / kind / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    (root / "Annotations").mkdir()
    for name in "abc":
        draw_image(root / f"JPEGImages/{name}.jpg")
        label = root / f"SegmentationClass/{name}.png"
        draw_label(label, [0, 12, 255])
        coloured = Image.fromarray(np.array(Image.open(label)), "P")
        coloured.putpalette([number % 251 for number in range(768)])
        coloured.save(label)
        (root / f"Annotations/{name}.xml").write_text(XML)
    return root


def write_coco(root, splits=SPLITS):
    """A cat of 6 x 6 pixels with a hole cut by a dog of 2 x 3, and a crowd of cats, in each image."""
    for split, names in splits.items():
        images, objects = [], []
        for number, name in enumerate(names):
            draw_image(root / f"{split}2017/{name}.jpg")
            images.append({"id": number, "file_name": f"{name}.jpg", "height": SIZE[0], "width": SIZE[1]})
            cat = {"category_id": 17, "bbox": [2, 3, 6, 6], "area": 36, "segmentation": [[2, 3, 8, 3, 8, 9, 2, 9]]}
            dog = {"category_id": 18, "bbox": [4, 5, 2, 3], "area": 6, "segmentation": [[4, 5, 6, 5, 6, 8, 4, 8]]}
            runs = {"size": list(SIZE), "counts": [12 * 15, 24, 36]}
            crowd = {"category_id": 17, "bbox": [15, 0, 2, 12], "area": 24, "iscrowd": 1, "segmentation": runs}
            objects += [one | {"id": len(objects) + k, "image_id": number} for k, one in enumerate((cat, dog, crowd))]
        categories = [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}]
        content = {"images": images, "annotations": objects, "categories": categories}
        (root / "annotations").mkdir(exist_ok=True)
        (root / f"annotations/instances_{split}2017.json").write_text(json.dumps(content))
    return root

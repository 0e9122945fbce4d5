"""COCO's JSON files, without pycocotools: objects with boxes and masks, and the labels of pixels painted from them."""

import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vittasks.data.dense.faults import Faults
from vittasks.data.dense.layouts import (
    KINDS,
    Kind,
    LabelFiles,
    LabelLayout,
    Masks,
    ObjectFile,
    ObjectLayout,
    PictureOfObjects,
    PlacedObject,
    box_fault,
)
from vittasks.data.dense.masks import decode

SECTIONS = ("images", "annotations", "categories")
KINDS_OF_VALUE: dict[str, tuple[type, ...]] = {
    "whole number": (int,),
    "text": (str,),
    "whole number or text": (int, str),
    "list": (list,),
}
OF_IMAGE = {"id": "whole number or text", "file_name": "text", "height": "whole number", "width": "whole number"}
OF_OBJECT = {"image_id": "whole number or text", "category_id": "whole number", "bbox": "list"}
OF_CATEGORY = {"id": "whole number", "name": "text"}
"""The keys and kinds of values that the entry of an image, of an object and of a category must have."""

ANNOTATIONS = (
    "annotations/instances_train2017.json",
    "annotations/instances_val2017.json",
    "annotations/instances_val2017.json",
)
IMAGES = ("train2017", "val2017", "val2017")
Three = tuple[str, str, str]


class CocoObjects(ObjectLayout):
    """Images in a folder for each split, and their objects in a JSON file for each split.

    Category numbers become classes 0, 1, ... in the order of the numbers.

    Args:
        annotations: The JSON files of training, validation and test, below ``root`` or with full paths.
        images: The folders of images of training, validation and test, below ``root`` or with full paths.
        masks: ``read`` them, or leave them ``ignored``, which is faster for boxes alone.

    Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014.
    """

    num_classes = 80

    def __init__(self, annotations: Three = ANNOTATIONS, images: Three = IMAGES, masks: Masks = "read") -> None:
        self.annotations, self.images, self.masks = annotations, images, masks
        train, val, test = (Path(name).stem for name in annotations)
        self.splits = (train, val, test)

    def places(self, root: Path) -> list[Path]:
        """Return the JSON files and the folders of images."""
        return [root / place for place in dict.fromkeys((*self.annotations, *self.images))]

    def read(self, root: Path, kind: Kind, faults: Faults) -> ObjectFile:
        """Return the images of a split with their objects.

        Raises:
            ValueError: The file is not a COCO file.
        """
        number = KINDS.index(kind)
        return read_coco(root / self.annotations[number], root / self.images[number], faults, self.masks)


class CocoLabels(LabelLayout):
    """The label of every pixel, painted from the objects of COCO's JSON files; where objects overlap, the smallest counts.

    Args:
        annotations: The JSON files of training, validation and test, below ``root`` or with full paths.
        images: The folders of images of training, validation and test, below ``root`` or with full paths.
        background: The label of pixels that belong to no object: class 0, before all others, or ``ignored``.

    Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014.
    """

    def __init__(
        self,
        annotations: Three = ANNOTATIONS,
        images: Three = IMAGES,
        background: Literal["class", "ignored"] = "class",
    ) -> None:
        self.objects, self.background = CocoObjects(annotations, images), background
        self.splits = self.objects.splits
        self.first = 1 if background == "class" else 0
        self.num_classes = self.first + CocoObjects.num_classes

    def places(self, root: Path) -> list[Path]:
        """Return the JSON files and the folders of images."""
        return self.objects.places(root)

    def read(self, root: Path, kind: Kind, faults: Faults) -> LabelFiles:
        """Return the images of a split with their objects.

        Raises:
            ValueError: The file is not a COCO file.
        """
        file = self.objects.read(root, kind, faults)
        names = (*("background",) * self.first, *file.names)
        return LabelFiles([(picture.path, picture) for picture in file.images], names)

    def label(self, source: PictureOfObjects, num_classes: int, ignored: int) -> Tensor:
        """Return the class of every pixel (H, W).

        Raises:
            ValueError: A mask cannot be decoded, or there are more categories than classes.
        """
        label = np.full((source.height, source.width), 0 if self.first else ignored, np.int64)
        for one in sorted(source.objects, key=lambda one: -one.area):
            if self.first + one.label >= num_classes:
                raise ValueError(
                    f"a label that stands for no class: {source.path} holds category {one.label} of {num_classes - self.first}"
                )
            label[object_mask(one, source)] = self.first + one.label
        return torch.from_numpy(label)


def object_mask(one: PlacedObject, picture: PictureOfObjects) -> Any:
    """Return the mask (H, W) of an object.

    Raises:
        ValueError: It is damaged, or of another size than the image.
    """
    try:
        return decode(one.mask, picture.height, picture.width)
    except ValueError as error:
        raise ValueError(f"a mask that cannot be read: an object of {picture.path} ({error})") from error


def read_coco(path: Path, folder: Path, faults: Faults, masks: Masks) -> ObjectFile:
    """Read a COCO JSON file whose images lie in a folder; if masks are read, every object needs one.

    Raises:
        ValueError: It is not a COCO file.
    """
    content = _sections(path, faults)
    names = _names(content["categories"], path, faults)
    classes = {number: place for place, number in enumerate(names)}
    objects = defaultdict(list)
    for one in content["annotations"]:
        if fault := _unlike(one, OF_OBJECT):
            faults.add(f"an object {fault}", f"annotation {_id(one)} of {path}")
        else:
            objects[one["image_id"]].append(one)
    entries = []
    for entry in content["images"]:
        if fault := _unlike(entry, OF_IMAGE):
            faults.add(f"an image {fault}", f"image {_id(entry)} of {path}")
        else:
            entries.append(entry)
    times = Counter(entry["id"] for entry in entries)
    files, images = set[str](), []
    for entry in entries:
        if times[entry["id"]] > 1:
            faults.add("an image number that occurs twice", f"{entry['id']}, {entry['file_name']}")
        elif not os.path.isfile(folder / entry["file_name"]):
            faults.add("an image file that is missing", folder / entry["file_name"])
        elif entry["file_name"] in files:
            faults.add("an image that is listed under two numbers", f"{entry['id']}, {entry['file_name']}")
        else:
            files.add(entry["file_name"])
            found = [_object(one, entry, classes, masks, faults) for one in objects[entry["id"]]]
            kept = [one for one in found if one is not None]
            images.append(PictureOfObjects(folder / entry["file_name"], entry["height"], entry["width"], kept))
    for number in sorted(set(objects) - set(times), key=str):
        faults.add("objects of an image that is not listed", f"image {number} of {path}")
    return ObjectFile(images, tuple(names.values()), masks)


def _sections(path: Path, faults: Faults) -> dict[str, list[Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{faults.owner}: {path} cannot be read as JSON ({' '.join(str(error).split())}).") from error
    missing = [name for name in SECTIONS if not isinstance(content, dict) or not isinstance(content.get(name), list)]
    if missing:
        raise ValueError(
            f"{faults.owner}: {path} is not a COCO file of objects: it has no list {', '.join(missing)}; expected an object with "
            f"the lists {', '.join(SECTIONS)}."
        )
    return content


def _names(categories: list[Any], path: Path, faults: Faults) -> dict[int, str]:
    """Return number -> name of the categories, in the order of the numbers."""
    names: dict[int, str] = {}
    for one in categories:
        if fault := _unlike(one, OF_CATEGORY):
            raise ValueError(f"{faults.owner}: {path} is not a COCO file of objects: it has a category {fault}.")
        if one["id"] in names:
            faults.add("a category number that occurs twice", f"{one['id']}, {one['name']}")
        names.setdefault(one["id"], one["name"])
    return dict(sorted(names.items()))


def _unlike(entry: Any, wanted: Mapping[str, str]) -> str:
    """Return the first fault of an entry, "without KEY" or "whose KEY is not a KIND"; empty if all are right."""
    if not isinstance(entry, dict):
        return "that is not a JSON object"
    for key, kind in wanted.items():
        if key not in entry:
            return f"without {key}"
        if isinstance(entry[key], bool) or not isinstance(entry[key], KINDS_OF_VALUE[kind]):
            return f"whose {key} is not a {kind}"
    return ""


def _id(entry: Any) -> Any:
    return entry.get("id") if isinstance(entry, dict) else entry


def _object(
    one: dict[str, Any], image: dict[str, Any], classes: dict[int, int], masks: Masks, faults: Faults
) -> PlacedObject | None:
    name = f"annotation {one.get('id')} of {image['file_name']}"
    numbers = [_number(number) for number in one["bbox"]]
    if len(numbers) != 4:
        fault = "a box that is not a list of four numbers"
    else:
        x, y, w, h = numbers
        area = _number(one.get("area", w * h))
        fault = box_fault((x, y, x + w, y + h), image["height"], image["width"])
    if one["category_id"] not in classes:
        fault = "an unknown category"
    elif not fault and not 0 <= area < math.inf:
        fault = "an object whose area is not a number of at least 0"
    elif not fault and one.get("iscrowd", 0) not in (0, 1):
        fault = "an object whose iscrowd is neither 0 nor 1"
    elif not fault and masks == "read" and not isinstance(one.get("segmentation"), list | dict):
        fault = "an object without a mask"
    if fault:
        faults.add(fault, name)
        return None
    return PlacedObject(
        (x, y, x + w, y + h),
        classes[one["category_id"]],
        bool(one.get("iscrowd", 0)),
        area,
        one["segmentation"] if masks == "read" else None,
    )


def _number(value: Any) -> float:
    """Return a number, NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf

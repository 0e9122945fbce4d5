"""PASCAL VOC's folders: lists of names, PNGs with palettes for the labels of pixels, XML files for boxes."""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vittasks.data.dense.ade20k import complete_pairs, counted_from
from vittasks.data.dense.faults import Faults, listed_once
from vittasks.data.dense.layouts import (
    KINDS,
    Kind,
    LabelFiles,
    LabelLayout,
    ObjectFile,
    ObjectLayout,
    Pair,
    PictureOfObjects,
    PlacedObject,
    box_fault,
)

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


class PascalLabels(LabelLayout):
    """Images ``root/JPEGImages/NAME.jpg`` and labels ``root/SegmentationClass/NAME.png``.

    The names stand in ``root/ImageSets/Segmentation/SPLIT.txt``. 0 is the background, which is a class; 255, the outline of
    objects, is ignored.

    Args:
        splits: The lists of training, validation and test, without ``.txt``.

    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010.
    """

    num_classes = 1 + len(CLASSES)

    def __init__(self, splits: tuple[str, str, str] = ("train", "val", "val")) -> None:
        self.splits = splits

    def places(self, root: Path) -> list[Path]:
        """Return the lists, and the folders of images and of labels."""
        lists = [root / "ImageSets" / "Segmentation" / f"{split}.txt" for split in dict.fromkeys(self.splits)]
        return [*lists, root / "JPEGImages", root / "SegmentationClass"]

    def read(self, root: Path, kind: Kind, faults: Faults) -> LabelFiles:
        """Return the pairs of a split, in the order of its list.

        Raises:
            ValueError: The list is missing or empty.
        """
        names = _names(root, "Segmentation", self.splits[KINDS.index(kind)], faults)
        images = _with_images(root, names, faults)
        pairs: list[Pair] = [(image, root / "SegmentationClass" / f"{image.stem}.png") for image in images]
        layout = "expected ROOT/JPEGImages/NAME.jpg and ROOT/SegmentationClass/NAME.png"
        complete = complete_pairs(pairs, {label for _, label in pairs if label.is_file()}, layout, faults)
        return LabelFiles(complete, ("background", *CLASSES))

    def table(self, num_classes: int, ignored: int) -> NDArray[np.int64]:
        """Return the class of each number in a file of labels."""
        return counted_from(0, num_classes, ignored)


class PascalObjects(ObjectLayout):
    """Images ``root/JPEGImages/NAME.jpg`` with the objects of ``root/Annotations/NAME.xml``, boxes without masks.

    The names stand in ``root/ImageSets/Main/SPLIT.txt``. A difficult object is treated like a crowd of COCO: it is left out in
    training, and detections on it are ignored in evaluation. A detection is on it by the share of the detection that lies in
    it, where PASCAL's own metric takes the intersection over the union.

    Args:
        splits: The lists of training, validation and test, without ``.txt``.
        classes: Names of the classes, in the order of their numbers.

    Source: Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010. A box there holds its last row and column,
    and counts from 1.
    """

    num_classes = len(CLASSES)

    def __init__(
        self, splits: tuple[str, str, str] = ("train", "val", "val"), classes: tuple[str, ...] = CLASSES
    ) -> None:
        self.splits, self.classes, self.num_classes = splits, classes, len(classes)

    def places(self, root: Path) -> list[Path]:
        """Return the lists, and the folders of images and of objects."""
        lists = [root / "ImageSets" / "Main" / f"{split}.txt" for split in dict.fromkeys(self.splits)]
        return [*lists, root / "JPEGImages", root / "Annotations"]

    def read(self, root: Path, kind: Kind, faults: Faults) -> ObjectFile:
        """Return the images of a split with their objects.

        Raises:
            ValueError: The list is missing or empty.
        """
        names = _names(root, "Main", self.splits[KINDS.index(kind)], faults)
        images = []
        for image in _with_images(root, names, faults):
            try:
                images.append(self._picture(image, root / "Annotations" / f"{image.stem}.xml", faults))
            except ValueError as error:
                fault, _, entry = str(error).partition(": ")
                faults.add(fault, entry)
        return ObjectFile(images, self.classes, masks="ignored")

    def _picture(self, image: Path, path: Path, faults: Faults) -> PictureOfObjects:
        if not path.is_file():
            raise ValueError(f"an image without a file of objects: {image}")
        try:
            tree = ET.parse(path).getroot()
            height, width = (int(_text(tree, f"size/{side}")) for side in ("height", "width"))
            found = [(one, _box(one)) for one in tree.findall("object")]
        except (ET.ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
            raise ValueError(f"a file of objects that cannot be read: {path} ({error})") from error
        objects = []
        for number, (one, box) in enumerate(found):
            name, entry = one.findtext("name", "").strip(), f"object {number} of {path}"
            if name not in self.classes:
                faults.add("an unknown category", f"{name!r}, {entry}")
            elif fault := box_fault(box, height, width):
                faults.add(fault, entry)
            else:
                label, difficult = self.classes.index(name), one.findtext("difficult", "0").strip() == "1"
                objects.append(PlacedObject(box, label, difficult, (box[2] - box[0]) * (box[3] - box[1])))
        return PictureOfObjects(image, height, width, objects)


def _names(root: Path, folder: str, split: str, faults: Faults) -> list[str]:
    path = root / "ImageSets" / folder / f"{split}.txt"
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{faults.owner}: no list {path}; expected ROOT/ImageSets/{folder}/SPLIT.txt with a name of an image in each line."
        ) from error
    names = [line.split()[0] for line in lines if line.split()]
    if not names:
        raise ValueError(f"{faults.owner}: {path} names no image.")
    return listed_once(names, "an image that is listed twice", faults)


def _with_images(root: Path, names: list[str], faults: Faults) -> list[Path]:
    images = [root / "JPEGImages" / f"{name}.jpg" for name in names]
    there = [image for image in images if os.path.isfile(image)]  # False for a name that no file can have
    for image in sorted(set(images) - set(there)):
        faults.add("an image file that is missing", image)
    return there


def _text(tree: ET.Element, place: str) -> str:
    found = tree.findtext(place)
    if found is None:
        raise LookupError(f"it has no {place}")
    return found


def _box(one: ET.Element) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(_text(one, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    return left - 1, top - 1, right, bottom

"""Where the files of a dense data set are and what they mean; each convention is a subclass."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vittasks.data.dense.faults import Faults
from vittasks.data.dense.read_pixels import read_classes

Kind = Literal["train", "val", "test"]
KINDS: tuple[Kind, ...] = ("train", "val", "test")

Masks = Literal["read", "ignored"]
Pair = tuple[Path, Any]
"""An image, and where its labels come from: the file of labels, or what a JSON file says."""


@dataclass(frozen=True)
class LabelFiles:
    """The images of a split with the sources of their labels, and the names of the classes; None if no file has them."""

    pairs: list[Pair]
    names: tuple[str, ...] | None = None


class Layout:
    """Which files a data set has.

    Attributes:
        num_classes: Number of classes, unless the data module sets another.
        splits: Names of training, validation and test.
    """

    num_classes: int
    splits: tuple[str, str, str]

    def places(self, root: Path) -> list[Path]:
        """Return the folders and files that hold the data, for the fingerprint."""
        raise TypeError(f"{type(self).__name__} does not define places(root).")


class LabelLayout(Layout):
    """Where images and the labels of their pixels lie, and what the values of the labels mean."""

    def read(self, root: Path, kind: Kind, faults: Faults) -> LabelFiles:
        """Return the images of a split with the sources of their labels.

        Raises:
            ValueError: The split is missing.
        """
        raise TypeError(f"{type(self).__name__} does not define read(root, kind, faults).")

    def label(self, source: Any, num_classes: int, ignored: int) -> Tensor:
        """Return the class of every pixel (H, W), or ``ignored``.

        Raises:
            ValueError: The labels cannot be read, or stand for no class.
        """
        return read_classes(source, self.table(num_classes, ignored), num_classes)

    def table(self, num_classes: int, ignored: int) -> NDArray[np.int64]:
        """Return the class of each number from 0 to 255 in a label file, or -1 for a number that is no class."""
        raise TypeError(f"{type(self).__name__} does not define table(num_classes, ignored).")


@dataclass(frozen=True, slots=True)
class PlacedObject:
    """An object in an image.

    Args:
        box: Left, top, right and bottom in pixels.
        label: Its class.
        crowd: Whether it stands for many objects; it is then left out in training and ignored in evaluation.
        area: Its size in pixels, by which COCO sorts objects into small, medium and large.
        mask: Its mask in one of COCO's forms; None if there is none.
    """

    box: tuple[float, float, float, float]
    label: int
    crowd: bool
    area: float
    mask: Any = None


@dataclass(frozen=True)
class PictureOfObjects:
    """An image's file with its size in pixels, and its objects."""

    path: Path
    height: int
    width: int
    objects: list[PlacedObject]


@dataclass(frozen=True)
class ObjectFile:
    """The images of a split with their objects, and the names of the classes.

    Every object has a mask if masks were ``read``.
    """

    images: list[PictureOfObjects]
    names: tuple[str, ...]
    masks: Masks


class ObjectLayout(Layout):
    """Where images and their objects lie."""

    def read(self, root: Path, kind: Kind, faults: Faults) -> ObjectFile:
        """Return the images of a split with their objects.

        Raises:
            ValueError: The split is missing, or is not in this format.
        """
        raise TypeError(f"{type(self).__name__} does not define read(root, kind, faults).")


def box_fault(box: Any, height: int, width: int) -> str:
    """Return the fault of a box (left, top, right, bottom) in an image; empty if it has none.

    A box may lie up to a pixel beyond the image, by rounding.
    """
    left, top, right, bottom = box
    if not all(abs(one) < math.inf for one in box):
        return "a box whose coordinates are not numbers"
    if right <= left or bottom <= top:
        return "a box without area"
    if left < -1 or top < -1 or right > width + 1 or bottom > height + 1:
        return "a box outside its image"
    return ""

"""Cityscapes' folders: a folder of images and a folder of labels for each city of a split."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vittasks.data.dense.ade20k import check_folders, complete_pairs, counted_from
from vittasks.data.dense.faults import Faults
from vittasks.data.dense.layouts import KINDS, Kind, LabelFiles, LabelLayout

CLASSES = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
"""The classes that are scored, and their numbers in the files ``labelIds``."""

LARGEST_ID = 33


class CityscapesLabels(LabelLayout):
    """Images ``root/leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png`` and labels ``root/gtFine/SPLIT/CITY/NAME_gtFine_*.png``.

    19 of the 34 classes are scored; pixels of the others are ignored.

    Args:
        labels: Which label files are read: ``ids``, which the data set is distributed with, or ``train_ids``, which its authors'
            scripts make from them. Both give the same labels.
        splits: The folders of training, validation and test.

    Source: Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016; the numbers are those of its
    list of labels.
    """

    num_classes = len(CLASSES)

    def __init__(
        self,
        labels: Literal["ids", "train_ids"] = "ids",
        splits: tuple[str, str, str] = ("train", "val", "val"),
    ) -> None:
        self.labels, self.splits = labels, splits

    def places(self, root: Path) -> list[Path]:
        """Return the folders of images and of labels."""
        return [root / kind / split for kind in ("leftImg8bit", "gtFine") for split in dict.fromkeys(self.splits)]

    def read(self, root: Path, kind: Kind, faults: Faults) -> LabelFiles:
        """Return the pairs of a split, city by city.

        Raises:
            ValueError: A folder is missing or holds no image.
        """
        split = self.splits[KINDS.index(kind)]
        images, labels = root / "leftImg8bit" / split, root / "gtFine" / split
        ending = f"_gtFine_label{'Ids' if self.labels == 'ids' else 'TrainIds'}.png"
        layout = f"expected ROOT/leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png and ROOT/gtFine/SPLIT/CITY/NAME{ending}"
        check_folders(images, labels, layout, faults)
        found = sorted(images.glob("*/*_leftImg8bit.png"))
        pairs = [
            (image, labels / image.parent.name / (image.name.removesuffix("_leftImg8bit.png") + ending))
            for image in found
        ]
        return LabelFiles(complete_pairs(pairs, set(labels.glob(f"*/*{ending}")), layout, faults), tuple(CLASSES))

    def table(self, num_classes: int, ignored: int) -> NDArray[np.int64]:
        """Return the class of each number in a file of labels."""
        if self.labels == "train_ids":
            return counted_from(0, num_classes, ignored)
        table = np.full(256, -1, np.int64)
        table[: LARGEST_ID + 1] = table[ignored] = ignored
        for number, place in enumerate(list(CLASSES.values())[:num_classes]):
            table[place] = number
        return table

"""ADE20K's folders: an image and a PNG of labels of the same name."""

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vittasks.data.dense.faults import Faults
from vittasks.data.dense.layouts import KINDS, Kind, LabelFiles, LabelLayout, Pair

IMAGES = (".jpg", ".jpeg", ".png")


class ADE20KLabels(LabelLayout):
    """Images ``root/images/SPLIT/NAME.jpg`` or ``.png``, and PNGs of labels ``root/annotations/SPLIT/NAME.png``.

    Args:
        zero: What 0 means in a file: ``ignored``, as in ADE20K, where 1 is the first class; or the first ``class``.
        splits: The folders of training, validation and test.
    """

    num_classes = 150

    def __init__(
        self,
        zero: Literal["ignored", "class"] = "ignored",
        splits: tuple[str, str, str] = ("training", "validation", "validation"),
    ) -> None:
        self.zero, self.splits = zero, splits

    def places(self, root: Path) -> list[Path]:
        """Return the folders of images and of labels."""
        return [root / kind / split for kind in ("images", "annotations") for split in dict.fromkeys(self.splits)]

    def read(self, root: Path, kind: Kind, faults: Faults) -> LabelFiles:
        """Return the pairs of a split, in the order of their names.

        Raises:
            ValueError: A folder is missing or holds no image.
        """
        split = self.splits[KINDS.index(kind)]
        images, labels = root / "images" / split, root / "annotations" / split
        layout = "expected ROOT/images/SPLIT/NAME.jpg or .png and ROOT/annotations/SPLIT/NAME.png"
        check_folders(images, labels, layout, faults)
        found = sorted(path for path in images.iterdir() if path.suffix.lower() in IMAGES)
        pairs = [(image, labels / f"{image.stem}.png") for image in found]
        return LabelFiles(complete_pairs(pairs, set(labels.glob("*.png")), layout, faults))

    def table(self, num_classes: int, ignored: int) -> NDArray[np.int64]:
        """Return the class of each number in a file of labels."""
        return counted_from(1 if self.zero == "ignored" else 0, num_classes, ignored)


def counted_from(first: int, num_classes: int, ignored: int) -> NDArray[np.int64]:
    """Return a table in which ``first`` is class 0, smaller numbers and ``ignored`` are ignored, and others are no class."""
    table = np.full(256, -1, np.int64)
    table[:first] = ignored
    count = min(num_classes, 256 - first)
    table[first : first + count] = np.arange(count)
    table[ignored] = ignored
    return table


def check_folders(images: Path, labels: Path, layout: str, faults: Faults) -> None:
    """Check that both folders of a split exist.

    Raises:
        ValueError: One of them is missing.
    """
    for folder in (images, labels):
        if not folder.is_dir():
            raise ValueError(f"{faults.owner}: no folder {folder}; {layout}.")


def complete_pairs(pairs: list[Pair], labels: set[Path], layout: str, faults: Faults) -> list[Pair]:
    """Return the pairs of which both files exist, and note the others.

    Args:
        pairs: Images with the paths of their label files.
        labels: All label files that exist.
        layout: The expected files, for a message.
        faults: Collects the faults.

    Raises:
        ValueError: There is no image at all.
    """
    if not pairs:
        raise ValueError(f"{faults.owner}: no image in {faults.place}; {layout}.")
    times = Counter(label for _, label in pairs)
    for image, label in pairs:
        if label not in labels:
            faults.add("an image without labels", image)
        elif times[label] > 1:
            faults.add("images that share one file of labels", image)
    for label in sorted(labels - times.keys()):
        faults.add("labels without an image", label)
    return [(image, label) for image, label in pairs if label in labels and times[label] == 1]

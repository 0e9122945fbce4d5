"""Pairs of an image and a PNG of labels: found by their names, read, and checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors

from vittasks.data.dense.faults import Faults
from vittasks.data.dense.paired_transforms import Transform
from vittasks.data.sampling import epoch_and_index, global_generators

IMAGES = (".jpg", ".jpeg", ".png")
Pair = tuple[Path, Path]


def find_pairs(root: Path, split: str, faults: Faults) -> list[Pair]:
    """Return the images ``root/images/split/*`` and their labels ``root/annotations/split/*.png``, in the order of their names.

    Raises:
        ValueError: A folder is missing or holds no image.
    """
    images, labels = root / "images" / split, root / "annotations" / split
    layout = "expected ROOT/images/SPLIT/NAME.jpg or .png and ROOT/annotations/SPLIT/NAME.png"
    for folder in (images, labels):
        if not folder.is_dir():
            raise ValueError(f"{faults.owner}: no folder {folder}; {layout}.")
    found = sorted(path for path in images.iterdir() if path.suffix.lower() in IMAGES)
    if not found:
        raise ValueError(f"{faults.owner}: no image in {images}; {layout}.")
    pairs = [(image, labels / f"{image.stem}.png") for image in found]
    for image, label in pairs:
        if not label.is_file():
            faults.add("an image without labels", image)
    for label in sorted(set(labels.glob("*.png")) - {label for _, label in pairs}):
        faults.add("labels without an image", label)
    return [pair for pair in pairs if pair[1].is_file()]


class SegmentationPairs(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of an image, float (channels, H, W) from 0 to 1, and a label, int64 (H, W), transformed.

    Args:
        pairs: Files.
        channels: 1 for grey images, 3 for colour.
        num_classes: Number of classes.
        zero: What 0 stands for in a file: ``ignored``, as in ADE20K, where 1 is the first class, or the first ``class``.
        ignored: The label of pixels without a class, in a file and in a batch.
        transform: Changes image and label together.
        seed: Of what the transform draws, with the epoch and the index.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        channels: int,
        num_classes: int,
        zero: Literal["ignored", "class"],
        ignored: int,
        transform: Transform,
        seed: int = 0,
    ) -> None:
        self.pairs, self.channels, self.num_classes = list(pairs), channels, num_classes
        self.zero, self.ignored, self.transform, self.seed = zero, ignored, transform, seed

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, Tensor]:
        epoch, index = epoch_and_index(item)
        image, label = self.read(index)
        with global_generators(self.seed, epoch, index):
            return self.transform(tv_tensors.Image(image), tv_tensors.Mask(label))

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Return image and label as they are in the files.

        Raises:
            ValueError: A file cannot be read, or the two do not fit together or to the classes.
        """
        image_path, label_path = self.pairs[index]
        image = read_pixels(image_path, "L" if self.channels == 1 else "RGB")
        label = torch.from_numpy(read_pixels(label_path, None)).long()
        if label.shape != image.shape[:2]:
            raise ValueError(
                f"labels of another size than the image: {label_path} has {tuple(label.shape)}, {image_path} {image.shape[:2]}"
            )
        return torch.from_numpy(image).reshape(*image.shape[:2], self.channels).permute(2, 0, 1) / 255, self.classes(
            label, label_path
        )

    def classes(self, label: Tensor, path: Path) -> Tensor:
        """Return a file's values as classes.

        Raises:
            ValueError: A value stands for no class.
        """
        without = label == self.ignored
        if self.zero == "ignored":
            without |= label == 0
            label = label - 1
        label = label.masked_fill(without, self.ignored)
        largest = int(label.masked_fill(without, 0).max())
        if label.ndim != 2 or largest >= self.num_classes:
            raise ValueError(
                f"a label that stands for no class: {path} holds class {largest}, but there are {self.num_classes}"
            )
        return label


def read_pixels(path: Path, mode: str | None) -> NDArray[np.uint8]:
    """Return the pixels of an image, converted to a mode of Pillow if one is given.

    Raises:
        ValueError: The file is missing, cut off or no image.
    """
    try:
        with Image.open(path) as image:
            return np.array(image if mode is None else image.convert(mode))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise ValueError(f"a file that cannot be read as an image: {path} ({' '.join(str(error).split())})") from error

"""Segmentation data in folders, as ADE20K has them: an image and a PNG of labels of the same name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tf

from vittasks.data.epoch_loader import EpochLoader, eval_loader, train_loader
from vittasks.data.faults import Faults, OnFault
from vittasks.data.image_folder import hash_files
from vittasks.data.sampling import EpochSampler, epoch_and_index, global_generators

IMAGES = (".jpg", ".jpeg", ".png")
Pair = tuple[Path, Path]
Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


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


class LabelledImages(Dataset[tuple[Tensor, Tensor]]):
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
        image = read_image(image_path, "L" if self.channels == 1 else "RGB")
        label = torch.from_numpy(read_image(label_path, None)).long()
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


def read_image(path: Path, mode: str | None) -> NDArray[np.uint8]:
    """Return the pixels of an image, converted to a mode of Pillow if one is given.

    Raises:
        ValueError: The file is missing, cut off or no image.
    """
    try:
        with Image.open(path) as image:
            return np.array(image if mode is None else image.convert(mode))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise ValueError(f"a file that cannot be read as an image: {path} ({' '.join(str(error).split())})") from error


class FittingCrop(v2.Transform):
    """Crop a square at random, most of whose labelled pixels are not all of one class; smaller images are padded.

    Args:
        side: Rows and columns of the crop.
        largest_share: A crop is drawn again if one class has more of its labelled pixels; after ten tries the last one stays.
        ignored: The label of padding.

    Source: mmsegmentation's ``RandomCrop`` with ``cat_max_ratio``.
    """

    def __init__(self, side: int, largest_share: float, ignored: int) -> None:
        super().__init__()
        self.largest_share, self.ignored = largest_share, ignored
        fill = {tv_tensors.Image: 0, tv_tensors.Mask: ignored}
        self.crop = v2.RandomCrop(side, pad_if_needed=True, fill=fill)

    def forward(self, *inputs: Any) -> Any:
        """Return image and label, cropped alike."""
        for _ in range(10):
            image, label = self.crop(*inputs)
            counts = label[label != self.ignored].flatten().bincount()
            if counts.numel() and counts.count_nonzero() > 1 and counts.max() <= self.largest_share * counts.sum():
                break
        return image, label


class RandomSize(v2.Transform):
    """Resize so that the longer side is at most ``longest`` and the shorter one at most ``shortest``, both times a random
    factor.

    Args:
        shortest: Of the shorter side, in pixels.
        longest: Of the longer side, in pixels.
        factors: Smallest and largest factor, drawn evenly.
    """

    def __init__(self, shortest: int, longest: int, factors: tuple[float, float] = (1.0, 1.0)) -> None:
        super().__init__()
        self.shortest, self.longest, self.factors = shortest, longest, factors

    def forward(self, *inputs: Any) -> Any:
        """Return image and label, resized alike."""
        h, w = inputs[0].shape[-2:]
        low, high = self.factors
        factor = low + (high - low) * float(torch.rand(()))
        scale = min(factor * self.longest / max(h, w), factor * self.shortest / min(h, w))
        size = [int(side * scale + 0.5) for side in (h, w)]
        return tuple(tf.resize(one, size, antialias=False) for one in inputs)


class SegmentationFolder(LightningDataModule):
    """Images and PNGs of labels: ``root/images/SPLIT/NAME.jpg`` and ``root/annotations/SPLIT/NAME.png``.

    Training: resized, cropped, mirrored and distorted at random, drawn from (seed, epoch, index). Evaluation: resized as in
    training without the random factor; the label stays at its original size, to which the network's answer is resized.

    Args:
        root: Folder that holds ``images`` and ``annotations``.
        num_classes: Number of classes.
        channels: 1 for grey images, 3 for colour.
        zero: What 0 stands for in a file: ``ignored``, as in ADE20K, where 1 is the first class, or the first ``class``.
        ignored: The label of pixels without a class.
        crop: Rows and columns of a training image.
        shortest: Size of an image's shorter side; 0 leaves images as they are.
        longest: Largest size of its longer side.
        factors: Range of the random factor on both sizes in training.
        largest_share: A training crop is drawn again while one class has more of its pixels.
        flip: Probability that a training image is mirrored.
        distortion: Probability of each photometric distortion in training.
        mean: Of each channel, taken off.
        std: Standard deviation of each channel, divided by.
        splits: The folders of training, validation and test.
        on_fault: ``refuse`` data with faults, or ``skip`` what is wrong.
        check: What is looked at before a training: ``all`` pixels of all files, or the ``names`` alone.
        batch_size: Images in a training batch.
        eval_batch_size: Images in a batch of the evaluation, 1 if their sizes differ.
        workers: Processes that read and augment.
        seed: Of the training's order and augmentation.

    Attributes:
        image_shape: (channels, crop, crop).
        skipped: How many faults were left out.

    Shapes:
        batches are (b, channels, H, W) float32 and (b, H, W) int64.

    Raises:
        ValueError: in ``setup``, a folder is missing or there is a fault.

    Source: the layout and labels of ADE20K; training and test images as in mmsegmentation's recipe for it.
    """

    def __init__(
        self,
        root: str,
        num_classes: int = 150,
        channels: int = 3,
        zero: Literal["ignored", "class"] = "ignored",
        ignored: int = 255,
        crop: int = 512,
        shortest: int = 512,
        longest: int = 2048,
        factors: tuple[float, float] = (0.5, 2.0),
        largest_share: float = 0.75,
        flip: float = 0.5,
        distortion: float = 0.5,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        splits: tuple[str, str, str] = ("training", "validation", "validation"),
        on_fault: OnFault = "refuse",
        check: Literal["all", "names"] = "all",
        batch_size: int = 16,
        eval_batch_size: int = 1,
        workers: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.root, self.num_classes, self.in_chans = Path(root), num_classes, channels
        self.zero: Literal["ignored", "class"] = zero
        self.ignored, self.image_shape = ignored, (channels, crop, crop)
        normalise = v2.Normalize(list(mean), list(std))
        self.eval_transform = _on_image([v2.Identity() if not shortest else RandomSize(shortest, longest), normalise])
        sized = [RandomSize(shortest, longest, (factors[0], factors[1]))] if shortest else []
        distorted = [v2.RandomPhotometricDistort(p=distortion)] if distortion and channels == 3 else []
        mirrored = [v2.RandomHorizontalFlip(flip)]
        # Normalised before it is cropped, so that what is padded is 0 behind the normalisation.
        self.train_transform = v2.Compose(
            [*sized, *mirrored, *distorted, normalise, FittingCrop(crop, largest_share, ignored)]
        )
        self.splits = dict(zip(("train", "val", "test"), splits, strict=True))
        self.on_fault: OnFault = on_fault
        self.check, self.batch_size, self.eval_batch_size = check, batch_size, eval_batch_size
        self.workers, self.seed, self.skipped = workers, seed, 0
        self.data: dict[str, LabelledImages] = {}

    def fingerprint(self) -> str:
        """Which data these are: a hash of the files' names and sizes; it reads no image."""
        splits = sorted(set(self.splits.values()))
        return hash_files([self.root / kind / split for kind in ("images", "annotations") for split in splits])

    def setup(self, stage: str) -> None:
        """List the files of the splits that the stage needs, and look for faults."""
        wanted = ("train", "val") if stage == "fit" else ("val",) if stage == "validate" else ("test",)
        for kind in wanted:
            if kind not in self.data:
                self.data[kind] = self._read(self.splits[kind], kind)

    def _read(self, split: str, kind: str) -> LabelledImages:
        faults = Faults(type(self).__name__, self.root / "images" / split, self.on_fault)
        transform = self.train_transform if kind == "train" else self.eval_transform
        data = LabelledImages(
            find_pairs(self.root, split, faults),
            self.in_chans,
            self.num_classes,
            self.zero,
            self.ignored,
            transform,
            self.seed,
        )
        if self.check == "all":
            data.pairs = [pair for index, pair in enumerate(data.pairs) if _is_sound(data, index, faults)]
        faults.settle()
        self.skipped += faults.count
        return data

    def train_dataloader(self) -> EpochLoader:
        """Full batches of augmented images, in an order drawn from (seed, epoch)."""
        data = self.data["train"]
        return train_loader(data, EpochSampler(len(data), self.seed), self.batch_size, self.workers)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The validation images."""
        return eval_loader(self.data["val"], self.eval_batch_size, self.workers)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test images."""
        return eval_loader(self.data["test"], self.eval_batch_size, self.workers)

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test images."""
        return self.test_dataloader()


def _is_sound(data: LabelledImages, index: int, faults: Faults) -> bool:
    try:
        data.read(index)
    except ValueError as error:
        kind, _, entry = str(error).partition(": ")
        faults.add(kind, entry)
        return False
    return True


def _on_image(transforms: Sequence[v2.Transform]) -> Transform:
    """Return a transform that changes the image and leaves the label as it is."""
    chain = v2.Compose(transforms)

    def transform(image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        changed = chain(image)
        return changed[0] if isinstance(changed, tuple) else changed, label

    return transform

"""Segmentation data in folders, as ADE20K has them: an image and a PNG of labels of the same name."""

from pathlib import Path
from typing import Literal

from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from vittasks.data.class_folders import hash_files
from vittasks.data.dense.faults import Faults, OnFault
from vittasks.data.dense.paired_transforms import FittingCrop, RandomSize, on_image
from vittasks.data.dense.segmentation_pairs import SegmentationPairs, find_pairs
from vittasks.data.epoch_loader import EpochLoader, eval_loader, train_loader
from vittasks.data.sampling import EpochSampler


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
        self.eval_transform = on_image([v2.Identity() if not shortest else RandomSize(shortest, longest), normalise])
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
        self.data: dict[str, SegmentationPairs] = {}

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

    def _read(self, split: str, kind: str) -> SegmentationPairs:
        faults = Faults(type(self).__name__, self.root / "images" / split, self.on_fault)
        transform = self.train_transform if kind == "train" else self.eval_transform
        data = SegmentationPairs(
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


def _is_sound(data: SegmentationPairs, index: int, faults: Faults) -> bool:
    try:
        data.read(index)
    except ValueError as error:
        kind, _, entry = str(error).partition(": ")
        faults.add(kind, entry)
        return False
    return True

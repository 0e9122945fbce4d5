"""Images in a litdata stream, for what exceeds a disk: chunks are fetched while the training goes on."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule

from vittasks.data.epoch_loader import check_batch
from vittasks.data.transforms import (
    MEAN,
    STD,
    Interpolation,
    evaluation_transform,
    per_channel,
    training_transform,
)

INDEX = "index.json"


class LitDataImages(LightningDataModule):
    """Images that ``litdata.optimize`` wrote to ``root/train`` and ``root/val``, and to ``root/test`` if ``test_split`` says so.

    A sample is a pair of an image and a class number, or a dictionary that holds both; an image is a JPEG, another file's bytes,
    an image of PIL or an array (H, W, c). It needs the package litdata: ``pip install "vittasks[litdata]"``.

    The order is litdata's: the same for the same seed, number of workers and number of processes, and a run can be resumed. The
    augmentation of a sample is drawn from (seed, epoch, index) alone. The other arguments are explained at
    ``ImageFolder``.

    Args:
        root: Folder or address (``s3://...``) that holds ``train`` and ``val``; ``~`` is the home folder.
        classes: Number of classes.
        image, label: Keys of the image and the class number in samples that are dictionaries.
        test_split: Folder of the test set below ``root``.
        img_size, interpolation, auto_augment, color_jitter, re_prob, crop_pct, mean, std: As for ``ImageFolder``.
        batch_size, workers, seed, channels: As for ``ImageFolder``.

    Shapes:
        batches are (b, channels, img_size, img_size) float32 and (b,) int64.

    Raises:
        ValueError: litdata is not installed, or a folder holds no stream.
    """

    def __init__(
        self,
        root: str,
        classes: int,
        image: str = "image",
        label: str = "label",
        test_split: str = "val",
        img_size: int = 224,
        interpolation: Interpolation = "bicubic",
        auto_augment: str | None = "rand-m9-mstd0.5-inc1",
        color_jitter: float = 0.3,
        re_prob: float = 0.25,
        crop_pct: float = 0.875,
        mean: tuple[float, ...] = MEAN,
        std: tuple[float, ...] = STD,
        batch_size: int = 128,
        workers: int = 8,
        seed: int = 0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.root = root if "://" in root else str(Path(root).expanduser())
        mean, std = per_channel("mean", mean, channels), per_channel("std", std, channels)
        self.transforms = {
            "train": training_transform(
                img_size, interpolation, auto_augment, color_jitter, re_prob, mean, std, "resized"
            ),
            "val": evaluation_transform(img_size, interpolation, crop_pct, mean, std),
        }
        self.num_classes, self.keys, self.test_split = classes, (image, label), test_split
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.in_chans, self.image_shape = channels, (channels, img_size, img_size)

    def fingerprint(self) -> str:
        """Which data these are: a hash of the streams' lists of chunks, or of the address of a remote one."""
        lists = [Path(self.place(split)) / INDEX for split in ("train", "val", "test")]
        return sha256(
            b"".join(file.read_bytes() if file.is_file() else self.root.encode() for file in lists)
        ).hexdigest()

    def place(self, split: str) -> str:
        """Folder or address of ``train``, ``val`` or ``test``."""
        return f"{self.root}/{self.test_split if split == 'test' else split}"

    def check_data(self) -> None:
        """Look at all splits and read an image of each, before anything is trained.

        Raises:
            ValueError: litdata is not installed, a stream is missing, its image cannot be read, or a batch is larger than it.
        """
        for split in ("train", "val", "test"):
            samples = self._samples(split)
            if split == "train":
                check_batch(self.batch_size, len(samples))
            _, label = samples[0]
            if not 0 <= label < self.num_classes:
                raise ValueError(
                    f"LitDataImages: {self.place(split)} holds class {label}, but data.classes is {self.num_classes}."
                )

    def train_dataloader(self) -> Any:
        """Full batches of augmented images, in litdata's order."""
        return self._loader("train")

    def val_dataloader(self) -> Any:
        """The validation images, resized and cropped at the centre."""
        return self._loader("val")

    def test_dataloader(self) -> Any:
        """The test images, resized and cropped at the centre."""
        return self._loader("test")

    def predict_dataloader(self) -> Any:
        """The test set."""
        return self.test_dataloader()

    def _samples(self, split: str) -> Any:
        try:
            from vittasks.data.litdata_samples import LitDataSamples
        except ImportError:
            raise ValueError(
                'LitDataImages: the package litdata is not installed; pip install "vittasks[litdata]" adds it.'
            ) from None
        place = self.place(split)
        if "://" not in place and not (Path(place) / INDEX).is_file():
            raise ValueError(f"LitDataImages: no stream in {place}; litdata.optimize writes one, with a file {INDEX}.")
        transform = self.transforms["train" if split == "train" else "val"]
        return LitDataSamples(place, transform, self.in_chans, self.keys, self.seed, shuffle=split == "train")

    def _loader(self, split: str) -> Any:
        from litdata import StreamingDataLoader

        return StreamingDataLoader(
            self._samples(split),
            batch_size=self.batch_size,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),
        )

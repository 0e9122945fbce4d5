"""What the data modules of labelled images share: transforms, loaders, and the checks before a training."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vittasks.data.epoch_loader import EpochLoader, check_batch, eval_loader, train_loader
from vittasks.data.sampling import EpochSampler, epoch_and_index, global_generators
from vittasks.data.transforms import (
    Crop,
    Interpolation,
    Transform,
    evaluation_transform,
    per_channel,
    training_transform,
)


class Images(Protocol):
    """The images of one split: a pair of an image, as ``read_image`` returns it, and its class's number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, int]: ...


class AugmentedImages(Dataset[tuple[Tensor, int]]):
    """Training images; item (epoch, index) is augmented by a stream of its own, the same in any worker.

    An ``index`` beyond the number of images is a further copy of image ``index`` modulo that number, with a stream of
    its own: see ``EpochSampler``.
    """

    def __init__(self, images: Images, transform: Transform, seed: int) -> None:
        self.images, self.transform, self.seed = images, transform, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, int]:
        epoch, index = epoch_and_index(item)
        image, label = self.images[index % len(self.images)]
        with global_generators(self.seed, epoch, index):
            return self.transform(image), label


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images that are prepared in the same way each time."""

    def __init__(self, images: Images, transform: Transform) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self.images[index]
        return self.transform(image), label


class LabelledImages(LightningDataModule):
    """Base of data modules whose images are read one by one and augmented by timm.

    A subclass says what its images are: ``num_classes``, ``fingerprint`` and ``read``. Order and augmentation are drawn from
    (seed, epoch, index) and are the same for any number of workers and any network. Incomplete last batches of the training
    are dropped, since Mixup needs even ones.

    The arguments are explained at ``ImageFolder``.
    """

    def __init__(
        self,
        img_size: int,
        interpolation: Interpolation,
        auto_augment: str | None,
        color_jitter: float,
        re_prob: float,
        crop_pct: float,
        mean: Sequence[float],
        std: Sequence[float],
        batch_size: int,
        workers: int,
        repeats: int,
        seed: int,
        channels: int,
        crop: Crop = "resized",
    ) -> None:
        super().__init__()
        if min(img_size, batch_size, channels) < 1 or workers < 0:
            raise ValueError(
                f"{type(self).__name__}: img_size, batch_size and channels must be at least 1 and workers at least 0, got "
                f"img_size={img_size}, batch_size={batch_size}, channels={channels}, workers={workers}."
            )
        if crop_pct <= 0 or not 0 <= re_prob <= 1:
            raise ValueError(
                f"{type(self).__name__}: crop_pct must be positive and re_prob lie in [0, 1], got crop_pct={crop_pct}, "
                f"re_prob={re_prob}."
            )
        self.mean, self.std = per_channel("mean", mean, channels), per_channel("std", std, channels)
        self.train_transform = training_transform(
            img_size, interpolation, auto_augment, color_jitter, re_prob, self.mean, self.std, crop
        )
        self.eval_transform = evaluation_transform(img_size, interpolation, crop_pct, self.mean, self.std)
        self.batch_size, self.workers, self.repeats, self.seed = batch_size, workers, repeats, seed
        self.in_chans, self.image_shape = channels, (channels, img_size, img_size)
        self.splits: dict[str, Images] = {}

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of classes; needs no ``setup``."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Which data these are: a hash that is the same wherever they lie, and for every seed."""

    @abstractmethod
    def read(self, split: str) -> Images:
        """The images of ``train``, ``val`` or ``test``.

        Raises:
            ValueError: They are not there, or have other classes than the training.
        """

    def check_data(self) -> None:
        """Look at all splits that a training and its test read, before anything is trained.

        Raises:
            ValueError: A split is missing, incomplete or damaged, or a batch is larger than the training set.
        """
        for split in ("train", "val", "test"):
            images = self._split(split)
            images[0]
        check_batch(self.batch_size, len(self._split("train")))

    def setup(self, stage: str) -> None:
        """List the images of the splits that the stage needs."""
        held_out = "test" if stage in ("test", "predict") else "val"
        for split in ("train", held_out) if stage == "fit" else (held_out,):
            self._split(split)

    def train_dataloader(self) -> EpochLoader:
        """Full batches of augmented images, in an order drawn from (seed, epoch)."""
        dataset = AugmentedImages(self._split("train"), self.train_transform, self.seed)
        sampler = EpochSampler(len(dataset), self.seed, self.repeats)
        loader = train_loader(dataset, sampler, self.batch_size, self.workers)
        loader.pin_memory = torch.cuda.is_available()
        return loader

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The validation images, resized and cropped at the centre."""
        return self._evaluation("val")

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test images, resized and cropped at the centre."""
        return self._evaluation("test")

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test set."""
        return self.test_dataloader()

    def _evaluation(self, split: str) -> DataLoader[tuple[Tensor, ...]]:
        images = PlainImages(self._split(split), self.eval_transform)
        return eval_loader(images, self.batch_size, self.workers)

    def _split(self, split: str) -> Images:
        if split not in self.splits:
            self.splits[split] = self.read(split)
        return self.splits[split]

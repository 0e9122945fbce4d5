"""ImageNet's folder layout, read by torchvision and augmented by timm."""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import LightningDataModule
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets

from vittasks.data.epoch_loader import EpochLoader, eval_loader, train_loader
from vittasks.data.sampling import EpochSampler, epoch_and_index, global_generators


def class_names(folder: Path) -> list[str]:
    """The sorted class folders of one split.

    Raises:
        ValueError: the folder is missing or holds no class folder.
    """
    layout = f"expected {folder.parent}/train/<class>/*.JPEG and {folder.parent}/val/<class>/*.JPEG"
    if not folder.parent.is_dir():
        raise ValueError(f"ImageFolder: no folder {folder.parent}; {layout}.")
    if not folder.is_dir():
        raise ValueError(f"ImageFolder: no folder {folder}; {layout}.")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if not names:
        raise ValueError(f"ImageFolder: no class folder in {folder}; {layout}.")
    return names


def read_split(folder: Path) -> datasets.ImageFolder:
    """Torchvision's reader of one split, without a transform.

    Raises:
        ValueError: the folder is missing, holds no class folder, or a class holds no image.
    """
    class_names(folder)
    images = datasets.ImageFolder(str(folder), allow_empty=True)
    empty = sorted(set(range(len(images.classes))) - set(images.targets))
    if empty:
        raise ValueError(
            f"ImageFolder: every class folder in {folder} must hold images, "
            f"but {len(empty)} hold none, such as {images.classes[empty[0]]}."
        )
    return images


def hash_files(folders: Sequence[Path]) -> str:
    """SHA-256 of the names and sizes of all files below some folders of one parent; a missing folder holds none."""
    sizes: dict[str, int] = {}
    for folder in folders:
        above = len(os.path.join(folder.parent, ""))
        for place, _, names in os.walk(
            folder, followlinks=True
        ):  # a million files: pathlib takes several times as long
            for path in (os.path.join(place, name) for name in names):
                with contextlib.suppress(OSError):  # a link that leads nowhere
                    sizes[path[above:].replace(os.sep, "/")] = os.stat(path).st_size
    listed = (f"{name}\0{size}\n".encode(errors="surrogateescape") for name, size in sorted(sizes.items()))
    return hashlib.sha256(b"".join(listed)).hexdigest()


class AugmentedImages(Dataset[tuple[Tensor, int]]):
    """Training images; item (epoch, index) is augmented by a stream of its own, the same in any worker.

    An ``index`` beyond the number of images is a further copy of image ``index`` modulo that number, with a stream of
    its own: see ``EpochSampler``.
    """

    def __init__(self, images: datasets.ImageFolder, seed: int) -> None:
        self.images, self.seed = images, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: tuple[int, int] | int) -> tuple[Tensor, int]:
        epoch, index = epoch_and_index(item)
        with global_generators(self.seed, epoch, index):
            image, label = self.images[index % len(self.images)]
        return image, label


class ImageFolder(LightningDataModule):
    """Images in ``root/train/<class>/*`` and ``root/val/<class>/*``, and in ``root/test`` if there is such a folder.

    Without ``root/test`` the test set is the validation set, as is the custom on ImageNet. Order and augmentation are
    drawn from (seed, epoch, index) and are the same for any number of workers and any network. Mixup and CutMix work on
    a batch and are left to the task; incomplete last batches of the training are dropped, since Mixup needs even ones.

    Args:
        root: Folder that holds ``train`` and ``val``.
        img_size: Side of the images given to the network, in pixels.
        interpolation: Of both transforms.
        auto_augment: timm's policy string, such as ``rand-m9-mstd0.5-inc1``; ``None`` for none.
        color_jitter: Strength of brightness, contrast and saturation jitter; timm ignores it beside ``auto_augment``.
        re_prob: Probability of random erasing, by noise per pixel.
        crop_pct: Side of the central crop over that of the resized image, in evaluation.
        mean: Of each channel, taken off; the default is ImageNet's.
        std: Standard deviation of each channel, divided by; the default is ImageNet's.
        batch_size: Images in a batch.
        workers: Processes that read and augment.
        repeats: Repeated augmentation: each image that an epoch shows comes this many times, differently augmented, and
            the epoch keeps its length, so that it shows 1 in ``repeats`` images.
        seed: Of the training's order and augmentation.

    Shapes:
        batches are (b, 3, img_size, img_size) float32 and (b,) int64.

    Raises:
        ValueError: in ``setup`` and ``num_classes``, a folder is missing or empty, or ``val`` or ``test`` has other
            classes than ``train``.

    Source: augmentation as in H. Touvron et al., Training data-efficient image transformers, ICML 2021.
    """

    def __init__(
        self,
        root: str,
        img_size: int = 224,
        interpolation: Literal["bilinear", "bicubic"] = "bicubic",
        auto_augment: str | None = "rand-m9-mstd0.5-inc1",
        color_jitter: float = 0.3,
        re_prob: float = 0.25,
        crop_pct: float = 0.875,
        mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        std: tuple[float, float, float] = (0.229, 0.224, 0.225),
        batch_size: int = 128,
        workers: int = 8,
        repeats: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.train_transform = create_transform(
            img_size,
            is_training=True,
            interpolation=interpolation,
            auto_augment=auto_augment,
            color_jitter=color_jitter,
            re_prob=re_prob,
            re_mode="pixel",
            mean=tuple(mean),
            std=tuple(std),
        )
        self.eval_transform = create_transform(
            img_size, interpolation=interpolation, crop_pct=crop_pct, mean=tuple(mean), std=tuple(std)
        )
        self.batch_size, self.workers, self.repeats, self.seed = batch_size, workers, repeats, seed
        self.in_chans, self.image_shape = 3, (3, img_size, img_size)
        self.splits: dict[str, datasets.ImageFolder] = {}

    @property
    def num_classes(self) -> int:
        """Class folders in ``root/train``; needs no ``setup``."""
        return len(class_names(self.root / "train"))

    @property
    def class_names(self) -> list[str]:
        """The class folders in ``root/train``, in the order of the labels; needs no ``setup``."""
        return class_names(self.root / "train")

    @property
    def test_split(self) -> str:
        """The folder of the test set: ``test`` if it exists, else ``val``."""
        return "test" if (self.root / "test").is_dir() else "val"

    def fingerprint(self) -> str:
        """Which data these are: a hash of the files' names and sizes; it reads no image."""
        return hash_files([self.root / split for split in ("train", "val", "test")])

    def setup(self, stage: str) -> None:
        """Lists the images of the splits that the stage needs."""
        names = class_names(self.root / "train")
        held_out = self.test_split if stage in ("test", "predict") else "val"
        wanted = {"train": self.train_transform} if stage == "fit" else {}
        for split, transform in {**wanted, held_out: self.eval_transform}.items():
            if split in self.splits:
                continue
            images = read_split(self.root / split)
            if images.classes != names:
                raise ValueError(
                    f"ImageFolder: {self.root / split} must hold the class folders of {self.root / 'train'}, "
                    f"but these are in one only: {sorted(set(names) ^ set(images.classes))[:5]}."
                )
            images.transform = transform
            self.splits[split] = images

    def train_dataloader(self) -> EpochLoader:
        """Full batches of augmented images, in an order drawn from (seed, epoch)."""
        dataset = AugmentedImages(self.splits["train"], self.seed)
        sampler = EpochSampler(len(dataset), self.seed, self.repeats)
        loader = train_loader(dataset, sampler, self.batch_size, self.workers)
        loader.pin_memory = torch.cuda.is_available()
        return loader

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The validation images, resized and cropped at the centre."""
        return eval_loader(self.splits["val"], self.batch_size, self.workers)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test images if there are any, else the validation images."""
        return eval_loader(self.splits[self.test_split], self.batch_size, self.workers)

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """The test set."""
        return self.test_dataloader()

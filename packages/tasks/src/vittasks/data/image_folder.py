"""ImageNet's folder layout, read by torchvision and augmented by timm."""

import os
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torchvision import datasets

from vittasks.data.class_folders import check_split, class_names, hash_files, image_files, is_hidden
from vittasks.data.damaged import OnDamaged, find_damaged, find_damaged_cached, refusal
from vittasks.data.epoch_loader import check_batch
from vittasks.data.labelled_images import LabelledImages
from vittasks.data.read_image import extensions, read_image, why
from vittasks.data.transforms import MEAN, STD, Interpolation

QUICKLY = 50_000
"""Most images of which beginning and end are read before every training, in a few seconds; a command checks larger sets."""


class FolderImages(datasets.ImageFolder):
    """Torchvision's reader of one split, which skips hidden files and names damaged ones.

    Args:
        folder: Folder of the split.
        channels: Channels that images are decoded to.
    """

    samples: list[tuple[str, int]]
    targets: list[int]

    def __init__(self, folder: Path, channels: int) -> None:
        endings = extensions(channels)
        super().__init__(
            str(folder),
            loader=partial(read_image, channels=channels),
            is_valid_file=partial(_is_image, folder, endings),
            allow_empty=True,
        )

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """The class folders and their numbers."""
        names = class_names(Path(directory))
        return names, {name: number for number, name in enumerate(names)}

    def __getitem__(self, index: int) -> tuple[Any, int]:
        path, label = self.samples[index]
        try:
            return self.loader(path), label
        except Exception as error:  # decoders raise almost anything
            raise refusal({path: why(error)}, Path(self.root)) from None

    def leave_out(self, paths: set[str]) -> list[str]:
        """Remove samples and return those that were there."""
        samples = self.samples
        self.samples = self.imgs = [(path, label) for path, label in samples if path not in paths]
        self.targets = [label for _, label in self.samples]
        return [path for path, _ in samples if path in paths]


class ImageFolder(LabelledImages):
    """Images in ``root/train/<class>/*`` and ``root/val/<class>/*``, and in ``root/test`` if there is such a folder.

    Without ``root/test`` the test set is the validation set, as is usual on ImageNet. Order and augmentation are
    drawn from (seed, epoch, index) and are the same for any number of workers and any network. Mixup and CutMix work on
    a batch and are left to the task; incomplete last batches of the training are dropped, since Mixup needs even ones.

    Colours are converted as PIL does: gray is repeated, alpha dropped, CMYK and palettes become RGB; the rotation in EXIF is
    applied. Gray of 16 bits keeps its range, 0 to 65,535 becoming 0 to 1; on such images, and with other than 1 or 3
    channels, ``auto_augment`` and ``color_jitter`` do nothing, since they are defined for 8 bits. Hidden files and folders
    (``.DS_Store``, ``._3.jpg``, ``.ipynb_checkpoints``) are neither images nor classes.

    Before a training, ``check_data`` looks at the layout of all splits, and at the head and end of each file in sets of up to
    50,000 images. ``vitcli data check`` decodes every image of sets of any size.

    Args:
        root: Folder that holds ``train`` and ``val``; ``~`` is the home folder.
        img_size: Side of the images given to the network, in pixels.
        interpolation: How images are resized for training and evaluation; ``random`` draws bilinear or bicubic for each training
            image and evaluates with bicubic.
        auto_augment: timm's policy string, such as ``rand-m9-mstd0.5-inc1``; ``3a`` is the 3-augment of DeiT III (grayscale,
            solarization or blur); ``None`` for none.
        color_jitter: Strength of brightness, contrast and saturation jitter; timm ignores it beside a policy other than ``3a``.
        re_prob: Probability of random erasing, by noise per pixel.
        crop_pct: Side of the central crop over that of the resized image, in evaluation.
        mean: Mean of each channel, subtracted; the default is ImageNet's, its average where there are other than three channels.
        std: Standard deviation of each channel, divided by; the default as for ``mean``.
        batch_size: Images in a batch.
        workers: Processes that read and augment.
        repeats: Repeated augmentation: each image that an epoch shows comes this many times, differently augmented, and
            the epoch keeps its length, so that it shows 1 in ``repeats`` images.
        seed: Seed of the training's order and augmentation.
        test_split: Folder of the test set; None means ``test`` if there is such a folder, else ``val``.
        on_damaged: What happens to an image that cannot be decoded. ``refuse`` ends the run with a sentence that names it,
            at the latest when it is read. ``skip`` decodes all images once, remembers the damaged ones and leaves them out;
            ``skipped`` lists them.
        channels: Channels of an image: 1 is gray; None is 3, RGB. Files of c channels give any multiple of c by repetition,
            also numpy's arrays (H, W, c) in ``.npy`` and TIFF files with one channel on each page.

    Attributes:
        skipped: Damaged images that are left out, by split; filled by ``setup``.

    Shapes:
        batches are (b, channels, img_size, img_size) float32 and (b,) int64.

    Raises:
        ValueError: in ``check_data``, ``setup`` and ``num_classes``, a folder is missing or empty, or ``val`` or the test set
            has other classes than ``train``.

    Source: augmentation as in H. Touvron et al., Training data-efficient image transformers, ICML 2021.
    """

    def __init__(
        self,
        root: str,
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
        repeats: int = 1,
        seed: int = 0,
        test_split: str | None = None,
        on_damaged: OnDamaged = "refuse",
        channels: int | None = None,
    ) -> None:
        # pylint: disable=duplicate-code  # arguments of the base are spelled out, since configurations read the signature
        super().__init__(
            img_size=img_size,
            interpolation=interpolation,
            auto_augment=auto_augment,
            color_jitter=color_jitter,
            re_prob=re_prob,
            crop_pct=crop_pct,
            mean=mean,
            std=std,
            batch_size=batch_size,
            workers=workers,
            repeats=repeats,
            seed=seed,
            channels=3 if channels is None else channels,
        )
        self.root, self.on_damaged, self.test_split = Path(root).expanduser(), on_damaged, test_split
        self.skipped: dict[str, list[str]] = {}

    @property
    def num_classes(self) -> int:
        """Class folders in ``root/train``; needs no ``setup``."""
        return len(class_names(self.root / "train"))

    @property
    def class_names(self) -> list[str]:
        """The class folders in ``root/train``, in the order of the labels; needs no ``setup``."""
        return class_names(self.root / "train")

    def folder(self, split: str) -> Path:
        """The folder of ``train``, ``val`` or ``test``."""
        if split != "test":
            return self.root / split
        return self.root / (self.test_split or ("test" if (self.root / "test").is_dir() else "val"))

    def fingerprint(self) -> str:
        """Which data these are: a hash of the files' names and sizes; it reads no image."""
        folders = [self.root / "train", self.root / "val", self.root / "test", self.folder("test")]
        return hash_files(list(dict.fromkeys(folders)))

    def notes(self) -> list[str]:
        """What a reader of the results should know of these data, in phrases; call it after the training and the test."""
        test = self.folder("test").name
        of_test = [] if test == "test" else [f"the test set is the folder {test}"]
        left_out = {split: len(paths) for split, paths in self.skipped.items() if paths}
        return of_test + [f"damaged images left out of {split}: {count}" for split, count in left_out.items()]

    def check_data(self) -> None:
        """Look at the layout of all splits and, in small sets, for damaged files, before anything is trained.

        Raises:
            ValueError: A folder is missing or empty, has other classes than ``train``, an image is damaged and not to be
                skipped, or a batch is larger than the training set.
        """
        for split in ("train", "val", "test"):
            self._check_layout(split)
        if self.on_damaged == "skip":
            for split in ("train", "val", "test"):
                self._split(split)
            check_batch(self.batch_size, len(self._split("train")))
            return
        endings = extensions(self.in_chans)
        train = list(islice(image_files(self.root / "train", endings), max(QUICKLY, self.batch_size)))
        check_batch(self.batch_size, len(train))
        for folder in dict.fromkeys(self.folder(split) for split in ("train", "val", "test")):
            self._check_files(folder, list(islice(image_files(folder, endings), QUICKLY + 1)))

    def read(self, split: str) -> FolderImages:
        """List the images of a split."""
        self._check_layout(split)
        images = FolderImages(self.folder(split), self.in_chans)
        if self.on_damaged == "skip":
            damaged = find_damaged_cached(
                [path for path, _ in images.samples], self.in_chans, hash_files([self.folder(split)])
            )
            self.skipped[split] = images.leave_out(set(damaged))
            if damaged:
                rank_zero_info(f"ImageFolder: damaged images that are left out: {len(damaged)} ({', '.join(damaged)})")
            if missing := sorted(set(range(len(images.classes))) - set(images.targets)):
                path = next(path for path in damaged if f"/{images.classes[missing[0]]}/" in path)
                raise ValueError(
                    f"ImageFolder: all images of class {images.classes[missing[0]]} in {self.folder(split)} are damaged, such as "
                    f"{path}: {damaged[path]}."
                )
        return images

    def _check_layout(self, split: str) -> None:
        folder = self.folder(split)
        try:
            check_split(folder, self.root / "train", extensions(self.in_chans))
        except ValueError as error:
            if split != "test" or folder == self.folder("val"):
                raise
            raise ValueError(
                f"{str(error).rstrip('.')}; data.test_split: val scores the validation images as the test set."
            ) from None

    def _check_files(self, folder: Path, paths: list[str]) -> None:
        """Refuse damaged files: of a large set only the first file is looked at, which shows wrong channels."""
        first = find_damaged(paths[:1], self.in_chans, "whole")
        damaged = first or (find_damaged(paths, self.in_chans, "quick") if len(paths) <= QUICKLY else {})
        if damaged:
            raise refusal(damaged, folder)


def _is_image(folder: Path, endings: tuple[str, ...], path: str) -> bool:
    # A million files: pathlib takes several times as long.
    return path.lower().endswith(endings) and not any(map(is_hidden, path[len(str(folder)) + 1 :].split(os.sep)))

"""CIFAR-10 and CIFAR-100 from the files of their authors; nothing is downloaded."""

import pickle
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vittasks.data.labelled_images import LabelledImages
from vittasks.data.read_image import convert_image
from vittasks.data.sampling import sample_generator
from vittasks.data.transforms import Crop, Interpolation

FILES: dict[int, tuple[str, tuple[str, ...], tuple[str, ...], str]] = {
    10: ("cifar-10-batches-py", tuple(f"data_batch_{n}" for n in range(1, 6)), ("test_batch",), "labels"),
    100: ("cifar-100-python", ("train",), ("test",), "fine_labels"),
}
"""Number of classes -> the folder in the archive, its files of the training, of the test, and the entry of the labels."""

HELD_OUT_SEED = 1009
SIDE = 32


class SafeUnpickler(pickle.Unpickler):
    """Reads arrays and plain values; a file that would run other code is refused."""

    ALLOWED = (
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    )

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed class.

        Raises:
            UnpicklingError: It is not allowed.
        """
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


class Pixels:
    """The images of one split in memory, (n, 32, 32, 3), with their labels."""

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], channels: int) -> None:
        self.pixels, self.labels, self.channels = pixels, labels, channels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return convert_image(Image.fromarray(self.pixels[index]), self.channels), int(self.labels[index])


CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class CIFAR(LabelledImages):
    """CIFAR-10 or CIFAR-100 from a folder: 50,000 training images and 10,000 for test, of 32 x 32 pixels.

    The files are those of the "python version" on the authors' page, unpacked. Without ``val_size`` the validation set is the
    test set, as is usual; no epoch is chosen by its score. The other arguments are explained at ``ImageFolder``.

    Args:
        root: The folder of the files, or the folder that holds it; ``~`` is the home folder.
        classes: 10 or 100.
        val_size: Training images that are held out for validation, drawn once for all seeds.
        img_size: Side of the images given to the network, in pixels.
        crop: ``padded`` moves a training image by up to 4 pixels; ``resized`` takes a part of it, as for photographs. Another
            size than 32 needs ``resized``.
        interpolation, auto_augment, color_jitter, re_prob, batch_size, workers, repeats, seed: As for ``ImageFolder``.
        crop_pct: As for ``ImageFolder``; 1 shows whole images.
        mean: Mean of each channel; the default is that of CIFAR-10.
        std: Standard deviation of each channel; the default is that of CIFAR-10.

    Shapes:
        batches are (b, 3, img_size, img_size) float32 and (b,) int64.

    Raises:
        ValueError: Files are missing or are not CIFAR's, or ``val_size`` leaves no image for the training.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009. The padded crop as in K. He et al., Deep
    residual learning, CVPR 2016, section 4.2.
    """

    def __init__(
        self,
        root: str,
        classes: Literal[10, 100] = 10,
        val_size: int = 0,
        img_size: int = 32,
        crop: Crop = "padded",
        interpolation: Interpolation = "bicubic",
        auto_augment: str | None = None,
        color_jitter: float = 0.0,
        re_prob: float = 0.0,
        crop_pct: float = 1.0,
        mean: tuple[float, ...] = (0.4914, 0.4822, 0.4465),
        std: tuple[float, ...] = (0.2470, 0.2435, 0.2616),
        batch_size: int = 128,
        workers: int = 0,
        repeats: int = 1,
        seed: int = 0,
    ) -> None:
        if crop == "padded" and img_size != SIDE:
            raise ValueError(
                f"CIFAR: data.crop is padded, which needs data.img_size=32, got {img_size}; set data.crop to resized."
            )
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
            channels=3,
            crop=crop,
        )
        self.root, self.classes, self.val_size = Path(root).expanduser(), classes, val_size

    @property
    def num_classes(self) -> int:
        """``classes``."""
        return self.classes

    @property
    def class_names(self) -> list[str] | None:
        """Names of CIFAR-10's classes, in the order of their numbers; None for CIFAR-100, whose classes have only numbers."""
        return list(CIFAR10_NAMES) if self.classes == 10 else None

    def fingerprint(self) -> str:
        """Which data these are: a hash of all pixels and labels, and of the number held out."""
        digest = sha256(f"{self.classes} {self.val_size}".encode())
        for part in ("train", "test"):
            for array in self._load(part):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def read(self, split: str) -> Pixels:
        """Read a split into memory: 150 MB for the training."""
        if split == "test" or (split == "val" and not self.val_size):
            return Pixels(*self._load("test"), self.in_chans)
        pixels, labels = self._load("train")
        if not 0 <= self.val_size < len(labels):
            raise ValueError(f"CIFAR: data.val_size must lie in 0..{len(labels) - 1}, got {self.val_size}.")
        shuffled = np.argsort(sample_generator(HELD_OUT_SEED, 0, 0).random(len(labels)), kind="stable")
        chosen = np.sort(shuffled[: self.val_size] if split == "val" else shuffled[self.val_size :])
        return Pixels(pixels[chosen], labels[chosen], self.in_chans)

    def _load(self, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        folder, train, test, entry = FILES[self.classes]
        place = self.root if (self.root / test[0]).is_file() else self.root / folder
        parts = [_load_file(place / name, entry, self.classes) for name in (train if part == "train" else test)]
        pixels, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels


def _load_file(path: Path, entry: str, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not path.is_file():
        raise ValueError(
            f"CIFAR: there is no file {path}; unpack the python version of CIFAR-{classes} into {path.parent}."
        )
    try:
        with path.open("rb") as file:
            content = SafeUnpickler(file, encoding="latin1").load()
        pixels, labels = np.asarray(content["data"]), np.asarray(content[entry], dtype=np.int64)
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3 * SIDE * SIDE):
            raise ValueError(f"its images are {pixels.dtype} {pixels.shape}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"its labels lie in {labels.min()}..{labels.max()}")
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        why = f"it has no entry {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"CIFAR: {path} is not a file of CIFAR-{classes}'s python version ({why}).") from None
    return pixels, labels

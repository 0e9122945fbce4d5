"""Any data set of torchvision with images and class numbers, from a folder."""

from inspect import isclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from torch.utils.data import Dataset

from vittasks.data.class_folders import hash_files
from vittasks.data.labelled_images import Images, LabelledImages
from vittasks.data.read_image import convert_image
from vittasks.data.transforms import MEAN, STD, Interpolation


class Converted:
    """The images of a data set, converted to a number of channels."""

    def __init__(self, dataset: Any, channels: int) -> None:
        self.dataset, self.channels = dataset, channels

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image, label = self.dataset[index]
        return convert_image(image, self.channels), int(label)


class TorchvisionImages(LabelledImages):
    """A data set of torchvision, such as ``torchvision.datasets.Flowers102``, from a folder; nothing is downloaded.

    The other arguments are explained at ``ImageFolder``.

    Args:
        dataset: Import path of the data set's class; its items are a PIL image and a class number.
        root: Its folder, as the class expects it; ``~`` is the home folder.
        train: Arguments with which the class returns the training images, for example ``{split: train}``.
        val: Arguments for the validation images; None means those of ``test``.
        test: Arguments for the test images.
        classes: Number of classes; None means the length of the data set's ``classes``.
        img_size, interpolation, auto_augment, color_jitter, re_prob, crop_pct, mean, std: As for ``ImageFolder``.
        batch_size, workers, repeats, seed, channels: As for ``ImageFolder``.

    Shapes:
        batches are (b, channels, img_size, img_size) float32 and (b,) int64.

    Raises: ValueError: There is no such class, it does not find its files or refuses its arguments, or its number of classes is
    unknown.
    """

    def __init__(
        self,
        dataset: str,
        root: str,
        train: dict[str, Any] = {"split": "train"},  # noqa: B006 (never changed)
        val: dict[str, Any] | None = None,
        test: dict[str, Any] = {"split": "test"},  # noqa: B006
        classes: int | None = None,
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
        channels: int = 3,
    ) -> None:
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
            channels=channels,
        )
        self.dataset, self.root, self.classes = dataset, Path(root).expanduser(), classes
        self.arguments = {"train": train, "val": test if val is None else val, "test": test}

    @property
    def num_classes(self) -> int:
        """``classes``, or what the data set says."""
        if self.classes is not None:
            return self.classes
        names = getattr(self._split("train").dataset, "classes", None)  # type: ignore[attr-defined]
        if names is None:
            raise ValueError(
                f"TorchvisionImages: {self.dataset} does not say its classes; set data.classes to their number."
            )
        return len(names)

    def fingerprint(self) -> str:
        """Which data these are: a hash of the names and sizes of all files in ``root``."""
        return hash_files([self.root])

    def read(self, split: str) -> Images:
        """Make the data set of a split."""
        try:
            kind = resolve_name(self.dataset)
        except (ImportError, AttributeError, ValueError):
            raise ValueError(
                f"TorchvisionImages: data.dataset is {self.dataset!r}, which cannot be imported."
            ) from None
        gives_images = isclass(kind) and issubclass(kind, Dataset)
        if not gives_images:  # calling anything else might do more than return images
            raise ValueError(
                f"TorchvisionImages: data.dataset is {self.dataset!r}; expected a class of torch.utils.data.Dataset."
            )
        try:
            return Converted(kind(root=str(self.root), **self.arguments[split]), self.in_chans)
        except (RuntimeError, OSError, TypeError, ValueError) as error:
            text = " ".join(str(error).split()).rstrip(".")
            raise ValueError(
                f"TorchvisionImages: {self.dataset} with {self.arguments[split]} cannot be read from {self.root}: {text}."
            ) from None

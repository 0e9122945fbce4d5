"""A Hugging Face data set of images from a folder; nothing is downloaded."""

import io
from pathlib import Path
from typing import Any

from vittasks.data.class_folders import hash_files
from vittasks.data.labelled_images import LabelledImages
from vittasks.data.read_image import decode_image, read_image, why
from vittasks.data.transforms import MEAN, STD, Interpolation

NAMES = {
    "train": ("train",),
    "val": ("validation", "val", "valid", "test"),
    "test": ("test", "validation", "val", "valid"),
}
"""Split -> names that it has in data sets; the first that is there is taken."""


class Rows:
    """The rows of one split, decoded."""

    def __init__(self, rows: Any, place: str, image: str, label: str, channels: int) -> None:
        self.rows, self.place, self.image, self.label, self.channels = rows, place, image, label, channels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        row = self.rows[index]
        stored = row[self.image]
        try:
            if stored["bytes"] is None:
                return read_image(stored["path"], self.channels), int(row[self.label])
            return decode_image(io.BytesIO(stored["bytes"]), self.channels), int(row[self.label])
        except Exception as error:  # decoders raise almost anything
            raise ValueError(
                f"HuggingFaceImages: image {index} of {self.place} cannot be read: {why(error)}."
            ) from None


class HuggingFaceImages(LabelledImages):
    """A data set of ``datasets``, written by ``save_to_disk`` or as parquet files, with a column of images and one of classes.

    It needs the package ``datasets``: ``pip install "vittasks[huggingface]"``. The other arguments are explained at
    ``ImageFolder``.

    Args:
        root: Folder of the data set; ``~`` is the home folder.
        image: Column of the images.
        label: Column of the classes, of the type ``ClassLabel``.
        val_split: Name of the validation set; None means validation, val, valid or test, the first that is there.
        test_split: Name of the test set; None means test, or else as for ``val_split``.
        img_size, interpolation, auto_augment, color_jitter, re_prob, crop_pct, mean, std: As for ``ImageFolder``.
        batch_size, workers, repeats, seed, channels: As for ``ImageFolder``.

    Shapes:
        batches are (b, channels, img_size, img_size) float32 and (b,) int64.

    Raises:
        ValueError: ``datasets`` is not installed, the folder holds no data set, or a split or column is missing.
    """

    def __init__(
        self,
        root: str,
        image: str = "image",
        label: str = "label",
        val_split: str | None = None,
        test_split: str | None = None,
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
            channels=channels,
        )
        self.root, self.image, self.label = Path(root).expanduser(), image, label
        self.wanted = {"val": val_split, "test": test_split}
        self._loaded: Any = None

    @property
    def num_classes(self) -> int:
        """Classes of the column ``label``; needs no ``setup``."""
        return len(self.class_names)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes of the column ``label``, in the order of their numbers; needs no ``setup``."""
        kind = self._data()[NAMES["train"][0]].features[self.label]
        if not hasattr(kind, "names"):
            raise ValueError(f"HuggingFaceImages: column {self.label} in {self.root} is {kind}; expected a ClassLabel.")
        return list(kind.names)

    def fingerprint(self) -> str:
        """Which data these are: a hash of the names and sizes of the files; it reads no image."""
        return hash_files([self.root])

    def read(self, split: str) -> Rows:
        """Find a split; rows are read when they are asked for."""
        data = self._data()
        from datasets import Image

        named = self.wanted.get(split)
        names = (named,) if named else NAMES[split]
        found = next((name for name in names if name in data), None)
        if found is None:
            raise ValueError(
                f"HuggingFaceImages: {self.root} has no split {' or '.join(names)}; it has {', '.join(data)}."
            )
        rows = data[found]
        if missing := [column for column in (self.image, self.label) if column not in rows.column_names]:
            raise ValueError(
                f"HuggingFaceImages: split {found} of {self.root} has no column {missing[0]}; "
                f"it has {', '.join(rows.column_names)}."
            )
        rows = rows.select_columns([self.image, self.label]).cast_column(self.image, Image(decode=False))
        return Rows(rows, f"split {found} of {self.root}", self.image, self.label, self.in_chans)

    def _data(self) -> Any:
        """The data set of all splits."""
        if self._loaded is None:
            try:
                import datasets
            except ImportError:
                raise ValueError(
                    'HuggingFaceImages: the package datasets is not installed; pip install "vittasks[huggingface]" adds it.'
                ) from None
            if not self.root.is_dir():
                raise ValueError(f"HuggingFaceImages: no folder {self.root}.")
            try:
                saved = (self.root / "dataset_dict.json").is_file() or (self.root / "state.json").is_file()
                self._loaded = (
                    datasets.load_from_disk(str(self.root)) if saved else datasets.load_dataset(str(self.root))
                )
            except Exception as error:
                text = " ".join(str(error).split())[:300].rstrip(".")
                raise ValueError(
                    f"HuggingFaceImages: {self.root} holds no data set that can be read: {text}."
                ) from None
            if not isinstance(self._loaded, dict) or "train" not in self._loaded:
                raise ValueError(f"HuggingFaceImages: {self.root} has no split train; expected a DatasetDict.")
        return self._loaded

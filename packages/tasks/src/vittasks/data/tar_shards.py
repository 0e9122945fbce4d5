"""Images in tar files, as webdataset writes them: a few large files in place of a million small ones."""

import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray

from vittasks.data.class_folders import hash_files
from vittasks.data.damaged import cache_folder
from vittasks.data.labelled_images import LabelledImages
from vittasks.data.read_image import decode_image, extensions, why
from vittasks.data.transforms import MEAN, STD, Interpolation

LABEL = ".cls"


@dataclass(frozen=True)
class ShardIndex:
    """Where each image lies: number of its shard, offset and length in bytes, and class; one row an image."""

    rows: NDArray[np.int64]  # n 4

    @property
    def labels(self) -> NDArray[np.int64]:
        """The classes."""
        return self.rows[:, 3]


def index_shards(paths: Sequence[Path]) -> ShardIndex:
    """Read the headers of all files in the shards.

    A sample consists of the files of one name: ``KEY.jpg``, or another image format, and ``KEY.cls`` with its class number.

    Raises:
        ValueError: A shard is not a tar file, or a sample lacks its image or its class.
    """
    rows: list[tuple[int, int, int, int]] = []
    for number, path in enumerate(paths):
        images, labels = dict[str, tuple[int, int]](), dict[str, int]()
        try:
            with tarfile.open(path, "r:") as shard:
                for member in shard:
                    key, dot, ending = member.name.partition(".") if "/" not in member.name else _parts(member.name)
                    if dot + ending == LABEL:
                        labels[key] = _class_number(member.name, (shard.extractfile(member) or io.BytesIO()).read())
                    elif (dot + ending).lower() in extensions(3):
                        images[key] = (member.offset_data, member.size)
        except (tarfile.TarError, OSError, ValueError) as error:
            raise ValueError(
                f"TarShards: {path} cannot be read as a tar file of images and classes: {error}."
            ) from None
        if different := sorted(images.keys() ^ labels.keys()):
            lacks = "image" if different[0] in labels else f"class ({different[0]}{LABEL})"
            raise ValueError(f"TarShards: sample {different[0]} in {path} has no {lacks}.")
        rows += [(number, *place, labels[key]) for key, place in images.items()]
    return ShardIndex(np.array(rows, dtype=np.int64).reshape(-1, 4))


def _class_number(name: str, content: bytes) -> int:
    text = content.decode(errors="replace").strip()
    if not text.isdecimal():
        raise ValueError(f"{name} holds {text[:40]!r}, which is no number of a class")
    return int(text)


def _parts(name: str) -> tuple[str, str, str]:
    folder, _, file = name.rpartition("/")
    key, dot, ending = file.partition(".")
    return f"{folder}/{key}", dot, ending


class ShardImages:
    """The images of one split, each read from its place in a shard."""

    def __init__(self, paths: Sequence[Path], index: ShardIndex, channels: int) -> None:
        self.paths, self.index, self.channels = paths, index, channels

    def __len__(self) -> int:
        return len(self.index.rows)

    def __getitem__(self, item: int) -> tuple[Any, int]:
        number, offset, size, label = self.index.rows[item].tolist()
        with self.paths[number].open("rb") as shard:
            shard.seek(offset)
            content = shard.read(size)
        try:
            return decode_image(io.BytesIO(content), self.channels), label
        except Exception as error:  # decoders raise almost anything
            raise ValueError(
                f"TarShards: the image at byte {offset} of {self.paths[number]}, of class {label}, cannot be read: {why(error)}."
            ) from None


class TarShards(LabelledImages):
    """Images in ``root/train/*.tar`` and ``root/val/*.tar``, and in ``root/test/*.tar`` if there are such.

    The shards are those of webdataset: a sample is an image ``KEY.jpg`` and its class's number ``KEY.cls``, side by side in one
    tar file. A file system handles a few thousand large files far better than a million small ones. The headers are read once and
    remembered; each image is then read from its place, so that order, resuming and sharing among processes are those of
    ``ImageFolder``, to the bit. The shards must be files that can be read at any offset, not addresses on the web.

    The other arguments are explained at ``ImageFolder``.

    Args:
        root: Folder that holds ``train`` and ``val``; ``~`` is the home folder.
        test_split: Folder of the test set; None means ``test`` if there is such a folder, else ``val``.
        img_size, interpolation, auto_augment, color_jitter, re_prob, crop_pct, mean, std: As for ``ImageFolder``.
        batch_size, workers, repeats, seed, channels: As for ``ImageFolder``.

    Attributes:
        num_classes: The largest class number of the training set plus one.

    Shapes:
        batches are (b, channels, img_size, img_size) float32 and (b,) int64.

    Raises:
        ValueError: A folder holds no shards, a shard is damaged, or ``val`` or the test set has classes that ``train`` lacks.
    """

    def __init__(
        self,
        root: str,
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
        self.root, self.test_split = Path(root).expanduser(), test_split

    @property
    def num_classes(self) -> int:
        """The largest class number of the training set plus one; needs no ``setup``."""
        return int(self._split("train").index.labels.max()) + 1  # type: ignore[attr-defined]

    def folder(self, split: str) -> Path:
        """The folder of ``train``, ``val`` or ``test``."""
        if split != "test":
            return self.root / split
        return self.root / (self.test_split or ("test" if (self.root / "test").is_dir() else "val"))

    def fingerprint(self) -> str:
        """Which data these are: a hash of the shards' names and sizes."""
        return hash_files(list(dict.fromkeys(self.folder(split) for split in ("train", "val", "test"))))

    def read(self, split: str) -> ShardImages:
        """Find the images of a split in its shards."""
        folder = self.folder(split)
        paths = sorted(folder.glob("*.tar"))
        if not paths:
            raise ValueError(
                f"TarShards: no shards {folder}/*.tar; expected {self.root}/train/*.tar and {self.root}/val/*.tar."
            )
        index = _indexed_once(paths, hash_files([folder]))
        if not len(index.rows):
            raise ValueError(f"TarShards: the shards in {folder} hold no image.")
        if split != "train" and (unknown := sorted(set(index.labels.tolist()) - set(range(self.num_classes)))):
            raise ValueError(f"TarShards: {folder} has images of class {unknown[0]}, but {self.root}/train has none.")
        return ShardImages(paths, index, self.in_chans)


def _indexed_once(paths: Sequence[Path], fingerprint: str) -> ShardIndex:
    file = cache_folder() / f"{sha256(f'{fingerprint} {paths[0].absolute()}'.encode()).hexdigest()}.npy"
    try:
        return ShardIndex(np.load(file, allow_pickle=False))
    except (OSError, ValueError, EOFError):
        pass
    index = index_shards(paths)
    draft = file.with_suffix(f".{os.getpid()}.npy")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(draft, index.rows)
        draft.replace(file)
    except OSError:
        rank_zero_info(
            f"TarShards: {file.parent} cannot be written; the next run reads the headers of all images again."
        )
    return index

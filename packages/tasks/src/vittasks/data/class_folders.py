"""Class folders: which folders and files count, and whether the splits of a data set agree."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

NOT_DATA = ("__MACOSX", "@eaDir", "__pycache__", "lost+found", "$RECYCLE.BIN", "System Volume Information")
"""Folders that archives, systems and file servers add, beside the hidden ones whose names begin with a dot."""

NAMED = 5
"""Most names that a message lists."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name was put there by a program: ``.DS_Store``, ``._3.jpg``, ``.ipynb_checkpoints``."""
    return name.startswith(".") or name in NOT_DATA


def class_names(folder: Path) -> list[str]:
    """The sorted class folders of one split.

    Raises:
        ValueError: The folder is missing or holds no class folder.
    """
    layout = f"expected {folder.parent}/train/<class>/*.JPEG and {folder.parent}/val/<class>/*.JPEG"
    if not folder.parent.is_dir():
        raise ValueError(f"ImageFolder: no folder {folder.parent}; {layout}.")
    if not folder.is_dir():
        beside = folders_in(folder.parent)
        found = f"; {folder.parent} holds {_listed(beside)}" if beside else ""
        raise ValueError(f"ImageFolder: no folder {folder}; {layout}{found}.")
    names = folders_in(folder)
    if not names:
        loose = next(image_files(folder, IMG_EXTENSIONS), None)
        unlabelled = ", so that the images in it have no labels" if loose else ""
        raise ValueError(f"ImageFolder: no class folder in {folder}{unlabelled}; expected {folder}/<class>/*.JPEG.")
    return names


def folders_in(folder: Path) -> list[str]:
    """The sorted names of the folders in a folder, without hidden ones."""
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_hidden(entry.name))


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many there are if there are more."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def image_files(folder: Path, extensions: Sequence[str]) -> Iterator[str]:
    """The paths of all images in a folder and below it, without hidden ones."""
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            if name.lower().endswith(tuple(extensions)) and not is_hidden(name):
                yield os.path.join(place, name)


def check_split(folder: Path, train: Path, extensions: Sequence[str]) -> None:
    """Check that a split has the classes of the training set and at least one image of each; few files are read.

    Raises:
        ValueError: The folder is missing, its class folders are not those of ``train``, or a class holds no image.
    """
    names, wanted = class_names(folder), class_names(train)
    lacks, only = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
    if lacks or only:
        wrong = [f"lacks {_listed(lacks)}"] * bool(lacks) + [f"has {_listed(only)} beside them"] * bool(only)
        raise ValueError(f"ImageFolder: {folder} must hold the class folders of {train}, but {' and '.join(wrong)}.")
    empty = [name for name in names if next(image_files(folder / name, extensions), None) is None]
    if empty:
        hold = "hold" if len(empty) > 1 else "holds"
        raise ValueError(
            f"ImageFolder: every class folder in {folder} must hold images, but {_listed(empty)} {hold} none"
            f"{_other_files(folder / empty[0], extensions)}."
        )


def _other_files(folder: Path, extensions: Sequence[str]) -> str:
    """Which files a folder without images holds instead; empty if it holds none."""
    others = sorted({path.suffix for path in folder.iterdir() if path.suffix and not is_hidden(path.name)})
    return f": {folder} holds {_listed(others)}, and what is read is {', '.join(extensions)}" if others else ""


def hash_files(folders: Sequence[Path]) -> str:
    """SHA-256 of the names and sizes of all files below some folders of one parent; a missing folder holds none.

    Hidden files do not count: they come and go without a change of the data.
    """
    sizes: dict[str, int] = {}
    for folder in folders:
        above = len(os.path.join(folder.parent, ""))
        for place, below, names in os.walk(
            folder, followlinks=True
        ):  # a million files: pathlib takes several times as long
            below[:] = [name for name in below if not is_hidden(name)]
            for path in (os.path.join(place, name) for name in names if not is_hidden(name)):
                with contextlib.suppress(OSError):  # a broken link
                    sizes[path[above:].replace(os.sep, "/")] = os.stat(path).st_size
    listed = (f"{name}\0{size}\n".encode(errors="surrogateescape") for name, size in sorted(sizes.items()))
    return hashlib.sha256(b"".join(listed)).hexdigest()

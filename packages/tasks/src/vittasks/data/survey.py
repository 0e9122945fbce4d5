"""A look at every image of a folder: what is in each split, and what is wrong with it."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from vittasks.data.class_folders import check_split, folders_in, image_files
from vittasks.data.damaged import in_threads
from vittasks.data.read_image import extensions, reason_of_damage

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class FileFacts:
    """What is known of one file; ``size`` and ``mode`` are those in its header, before any conversion.

    Args:
        path: The file.
        content: Hash of its bytes; empty if it cannot be read.
        mode: PIL's mode, such as RGB or I;16, or npy; empty if it is not an image.
        size: Width and height.
        damage: Why it cannot be decoded; empty if it can.
    """

    path: str
    content: str
    mode: str
    size: Size
    damage: str


@dataclass(frozen=True)
class SplitFacts:
    """What is in one split.

    Args:
        folder: Its folder.
        classes: Class -> images.
        modes: PIL's mode -> images.
        smallest, median, largest: Width and height, by area; None without images.
        damaged: Path -> why the file cannot be decoded.
    """

    folder: str
    classes: dict[str, int]
    modes: dict[str, int]
    smallest: Size | None
    median: Size | None
    largest: Size | None
    damaged: dict[str, str]

    @property
    def images(self) -> int:
        """Number of files, damaged ones among them."""
        return sum(self.classes.values())


@dataclass(frozen=True)
class Survey:
    """What was found.

    Args:
        root: The folder.
        splits: Name of a split's folder -> what is in it.
        shared: Files with the same content that lie in several splits.
        problems: Every problem as a sentence.
        unread: Folders beside the splits, which no run reads.
    """

    root: str
    splits: dict[str, SplitFacts] = field(default_factory=dict)
    shared: list[list[str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def survey(root: Path, test_split: str | None = None, channels: int = 3) -> Survey:
    """Read and decode every image of all splits, with a thread for each core.

    Args:
        root: Folder that holds ``train``, ``val`` and maybe ``test``.
        test_split: Folder of the test set; None means ``test`` if there is such a folder, else ``val``.
        channels: Channels that images are decoded to.
    """
    test = test_split or ("test" if (root / "test").is_dir() else "val")
    found = Survey(str(root))
    names = list(dict.fromkeys(("train", "val", test)))
    found.problems.extend(_layout_problems(root, names, channels))
    found.unread.extend(str(root / name) for name in folders_in(root) if name not in names)
    contents: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        paths = list(image_files(root / name, extensions(channels)))
        files = list(in_threads(partial(_look_at, channels=channels), paths))
        if files:
            found.splits[name] = _facts(root / name, files)
        for file in files:
            contents.setdefault(file.content or file.path, []).append((name, file.path))
    for split in found.splits.values():
        found.problems.extend(f"{path} cannot be read: {why}" for path, why in split.damaged.items())
    found.shared.extend([path for _, path in same] for same in contents.values() if len({name for name, _ in same}) > 1)
    found.problems.extend(f"the same image lies in several splits: {', '.join(same)}" for same in found.shared)
    return found


def _layout_problems(root: Path, names: list[str], channels: int) -> list[str]:
    problems = []
    for name in names:
        try:
            check_split(root / name, root / "train", extensions(channels))
        except ValueError as error:
            problems.append(str(error).removeprefix("ImageFolder: ").rstrip("."))
    return list(dict.fromkeys(problems))


def _look_at(path: str, channels: int) -> FileFacts:
    damage = reason_of_damage(path, channels)
    try:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return FileFacts(path, "", "", (0, 0), damage)
    try:
        if path.lower().endswith(".npy"):
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
            return FileFacts(path, content, "npy", (shape[1], shape[0]), damage)
        with Image.open(path) as image:
            return FileFacts(path, content, image.mode, image.size, damage)
    except Exception:  # decoders raise almost anything; the reason stands in ``damage``
        return FileFacts(path, content, "", (0, 0), damage)


def _facts(folder: Path, files: list[FileFacts]) -> SplitFacts:
    classes = Counter(Path(file.path).relative_to(folder).parts[0] for file in files)
    sizes = sorted((file.size for file in files if file.mode), key=lambda size: (size[0] * size[1], size))
    return SplitFacts(
        str(folder),
        dict(classes),
        dict(Counter(file.mode for file in files if file.mode).most_common()),
        sizes[0] if sizes else None,
        sizes[len(sizes) // 2] if sizes else None,
        sizes[-1] if sizes else None,
        {file.path: file.damage for file in files if file.damage},
    )

"""Small data sets in files, as users have them."""

import pickle
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat")


def write_tree(root: Path, splits: tuple[str, ...] = ("train", "val"), per_class: int = 2) -> Path:
    """Write ``root/<split>/<class>/<number>.jpg``, every image another one, and return ``root``."""
    stream = np.random.default_rng(0)
    for split in splits:
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(per_class):
                pixels = stream.integers(256, size=(48, 64, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return root


def cut_in_half(path: Path) -> Path:
    """Keep the first half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def pack_cifar(path: Path, count: int, classes: int, seed: int, **changes: object) -> tuple[np.ndarray, list[int]]:
    """Write a file of CIFAR's python version and return its pixels (n, 3, 32, 32) and labels."""
    stream = np.random.default_rng(seed)
    pixels = stream.integers(256, size=(count, 3072), dtype=np.uint8)
    labels = (np.arange(count) % classes).tolist()
    name = "labels" if classes == 10 else "fine_labels"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"data": pixels, name: labels} | changes, protocol=2))
    return pixels.reshape(count, 3, 32, 32), labels

"""Small trees of images, as users have them."""

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
                pixels = stream.integers(256, size=(24, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return root


def cut_in_half(path: Path) -> Path:
    """Keep the first half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path

"""A tree of small images of three colours, as ``vittasks.ImageFolder`` reads it."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (210, 50, 40)}


def write_images(root: Path, train: int = 4, val: int = 2, side: int = 40) -> None:
    """Write ``root/train/CLASS/*.jpg`` and ``root/val/CLASS/*.jpg``: noise around each class's colour."""
    draw = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for split, count in (("train", train), ("val", val)):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                noise = draw.normal(0, 40, (side, side, 3)) + colour
                image = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
                image.save(root / split / name / f"{number}.jpg")

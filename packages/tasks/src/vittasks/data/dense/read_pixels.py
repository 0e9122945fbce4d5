"""The pixels of an image file as an array, and label images as classes."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from vittasks.data.dense.faults import UNREADABLE


def read_pixels(path: Path, mode: str | None) -> NDArray[np.uint8]:
    """Return the pixels of an image, converted to a mode of Pillow if one is given.

    Raises:
        ValueError: The file is missing, truncated or not an image.
    """
    try:
        with Image.open(path) as image:
            return np.array(image if mode is None else image.convert(mode))
    except (OSError, UnidentifiedImageError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{UNREADABLE}: {path} ({' '.join(str(error).split())})") from error


def read_picture(path: Path, channels: int) -> Tensor:
    """Return an image (channels, H, W) from 0 to 1, grey for one channel.

    Raises:
        ValueError: The file is missing, truncated or not an image.
    """
    pixels = read_pixels(path, "L" if channels == 1 else "RGB")
    return torch.from_numpy(pixels).reshape(*pixels.shape[:2], channels).permute(2, 0, 1) / 255


def read_classes(path: Path, table: NDArray[np.int64], num_classes: int) -> Tensor:
    """Return the class of every pixel (H, W) of a file of numbers.

    Args:
        path: A PNG, grey or with a palette.
        table: For each number from 0 its class, or -1 for a number that is no class.
        num_classes: Number of classes, for a message.

    Raises:
        ValueError: The file cannot be read, or a number in it is no class.
    """
    values = read_pixels(path, None)
    if values.ndim != 2:
        raise ValueError(f"labels that are colours instead of numbers: {path} has {values.shape[-1]} channels")
    unknown = (values >= len(table)) | (values < 0)
    classes = table[np.where(unknown, 0, values).astype(np.int64)]
    if (without := unknown | (classes < 0)).any():
        raise ValueError(
            f"a label that stands for no class: {path} holds {values[without].max()}, none of {num_classes} classes"
        )
    return torch.from_numpy(classes)

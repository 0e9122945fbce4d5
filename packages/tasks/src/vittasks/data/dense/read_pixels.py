"""The pixels of an image file as a tensor, and label images as classes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vittasks.data.dense.faults import UNREADABLE
from vittasks.data.read_image import read_image, why


def read_picture(path: Path, channels: int) -> Tensor:
    """Return an image (channels, H, W) from 0 to 1, grey for one channel, as it is read for a classifier.

    The rotation in EXIF is applied, as the programs do in which images are annotated.

    Raises:
        ValueError: The file is missing, truncated or not an image.
    """
    try:
        picture = read_image(str(path), channels)
    except Exception as error:  # decoders raise many kinds for damaged files
        raise ValueError(f"{UNREADABLE}: {path} ({why(error)})") from error
    if isinstance(picture, Tensor):
        return picture
    pixels = np.array(picture)
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
    try:
        with Image.open(path) as image:
            values: NDArray[Any] = np.array(image)
    except Exception as error:  # decoders raise many kinds for damaged files
        raise ValueError(f"{UNREADABLE}: {path} ({why(error)})") from error
    if values.ndim != 2:
        raise ValueError(f"labels that are colours instead of numbers: {path} has {values.shape[-1]} channels")
    unknown = (values >= len(table)) | (values < 0)
    classes = table[np.where(unknown, 0, values).astype(np.int64)]
    if (without := unknown | (classes < 0)).any():
        raise ValueError(
            f"a label that stands for no class: {path} holds {values[without].max()}, none of {num_classes} classes"
        )
    return torch.from_numpy(classes)

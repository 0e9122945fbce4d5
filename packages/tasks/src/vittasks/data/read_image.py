"""Reading one image file: decode it to the requested channels, or say why it cannot be decoded."""

import errno
import os
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

PHOTOGRAPHS = {1: "L", 3: "RGB"}
"""Channels -> PIL's mode, for the images that timm's augmentation works on."""

WHOLE = {1: ("L",), 3: ("RGB",), 4: ("RGBA", "CMYK")}
"""Channels -> modes that are kept as they are if another number of channels than 1 or 3 is requested."""

THE_FILE = (None, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EISDIR)
"""Numbers of errors of the file itself; all others come from the disk or the network, and a second try may succeed."""

ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
"""Format -> the last bytes of a complete file."""


def extensions(channels: int) -> tuple[str, ...]:
    """Endings of the files that are read: images, and for other than 1 or 3 channels also arrays saved by numpy."""
    return IMG_EXTENSIONS if channels in PHOTOGRAPHS else (*IMG_EXTENSIONS, ".npy")


def read_image(path: str, channels: int) -> Image.Image | Tensor:
    """Decode a file.

    Colours become ``channels`` as PIL converts them: gray by luma, alpha dropped, CMYK and palettes to RGB. The rotation in
    EXIF is applied. An image of c channels fills ``channels`` by repetition where c divides it, as gray fills RGB.

    Args:
        path: An image, or an array (H, W) or (H, W, c) saved by numpy. A TIFF of several pages has a channel in each page if
            ``channels`` is their number and neither 1 nor 3.
        channels: 1, 3, or what the files hold.

    Returns:
        An image of 8 bits, L or RGB, for 1 and 3 channels; else, and for gray of more than 8 bits, a tensor (channels, H, W).
        Its values are those of 8 bits divided by 255, those of 16 bits by 65,535, and floating-point numbers as they are.

    Raises:
        ValueError: The image has a number of channels that does not divide ``channels``, or numbers that are not finite.
        OSError: The file cannot be read. Decoders raise other exceptions too.
    """
    if path.endswith(".npy"):
        return _fill(np.atleast_3d(np.load(path, allow_pickle=False)), channels)
    with open(path, "rb") as file:
        return decode_image(file, channels)


def decode_image(file: BinaryIO, channels: int) -> Image.Image | Tensor:
    """Like ``read_image``, from an open file."""
    with Image.open(file) as image:
        return convert_image(image, channels)


def convert_image(image: Image.Image, channels: int) -> Image.Image | Tensor:
    """Like ``read_image``, from an image of PIL."""
    if channels not in PHOTOGRAPHS and getattr(image, "n_frames", 1) == channels:
        return _fill(np.stack([_page(image, number) for number in range(channels)], axis=-1), channels)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith(("I", "F")):
        return _fill(np.asarray(image)[..., None], channels)
    plain = image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
    if channels in PHOTOGRAPHS:
        return plain.convert(PHOTOGRAPHS[channels])
    kept = [mode for count, modes in WHOLE.items() if channels % count == 0 for mode in modes]
    return _fill(np.atleast_3d(np.asarray(plain if plain.mode in kept else plain.convert("RGB"))), channels)


def reason_of_damage(path: str, channels: int) -> str:
    """Why a file cannot be decoded; empty if it can.

    Raises:
        OSError: The disk or the network failed, not the file.
    """
    try:
        read_image(path, channels)
    except Exception as error:
        return why(error)
    return ""


def quick_reason_of_damage(path: str, channels: int) -> str:
    """Like ``reason_of_damage``, but a file with a readable header and the end of a complete file passes without decoding.

    It finds empty and truncated files and files that are not images, at a hundredth of the cost.
    """
    try:
        with open(path, "rb") as file, Image.open(file) as image:
            end = ENDS.get(image.format or "")
            file.seek(-min(len(end or b""), os.stat(path).st_size), os.SEEK_END)
            if end is not None and file.read() == end:
                return ""
    except Exception as error:
        if path.endswith(".npy"):
            return reason_of_damage(path, channels)
        return why(error)
    return reason_of_damage(path, channels)


def why(error: Exception) -> str:
    """Return why a file was not decoded, without its path.

    Raises:
        OSError: The error is not in the file.
    """
    if isinstance(error, OSError) and error.errno not in THE_FILE:
        raise error
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def _page(image: Image.Image, number: int) -> Any:
    image.seek(number)
    return np.asarray(image if image.mode.startswith(("I", "F", "L")) else image.convert("L"))


def _fill(array: Any, channels: int) -> Tensor:
    """(H, W, c) of any type -> (channels, H, W), 0 to 1 for whole numbers."""
    count = array.shape[-1]
    if array.ndim != 3 or channels % count:
        raise ValueError(f"it has {count} channels, which do not fill data.channels: {channels}")
    if array.dtype.kind not in "uif":
        raise ValueError(f"it holds {array.dtype}, not numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("it holds numbers that are not finite")
    most = {np.dtype(np.uint8): 255.0}.get(array.dtype, 65535.0) if array.dtype.kind in "ui" else 1.0
    # astype also turns the bytes of big-endian numbers, which torch does not take.
    values = torch.from_numpy(array.astype(np.float32) / np.float32(most))
    return values.permute(2, 0, 1).repeat(channels // count, 1, 1)

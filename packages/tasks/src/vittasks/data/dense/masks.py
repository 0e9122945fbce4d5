"""Masks as COCO writes them: polygons, and run-length codes down the columns, plain or compressed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return the lengths of the runs of a mask, down the columns, the first of pixels outside the mask."""
    flat = np.concatenate(([False], mask.T.ravel(), [not mask[-1, -1]]))
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(ends, prepend=0).tolist()


def decode(segmentation: Any, h: int, w: int) -> NDArray[np.bool_]:
    """Return the mask (h, w) of an object's ``segmentation``.

    Raises:
        ValueError: It is neither polygons nor a run-length code of that size.
    """
    if isinstance(segmentation, list):
        return _filled(segmentation, h, w)
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise ValueError(
            f"a segmentation is a list of polygons or a run-length code, got {type(segmentation).__name__}"
        )
    counts = segmentation["counts"]
    runs = _uncompressed(counts) if isinstance(counts, str) else counts
    if list(segmentation.get("size", [h, w])) != [h, w] or sum(runs) != h * w:
        raise ValueError(f"a run-length code of {sum(runs)} pixels for an image of {h} x {w}")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(w, h).T


def _filled(polygons: Sequence[Sequence[float]], h: int, w: int) -> NDArray[np.bool_]:
    """Fill polygons x1, y1, x2, y2, ...; a pixel belongs to one whose edge or inside holds its centre."""
    canvas = Image.new("1", (w, h))
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon has at least three points, got {len(polygon)} numbers")
        points = [(x - 0.5, y - 0.5) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
        ImageDraw.Draw(canvas).polygon(points, fill=1)
    return np.array(canvas, dtype=np.bool_)


def _uncompressed(text: str) -> list[int]:
    """Return the counts of COCO's compressed code: groups of five bits, and from the third on differences to the last but one."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            if group & 16:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts

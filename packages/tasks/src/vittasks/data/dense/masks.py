"""Masks in COCO's formats: polygons, and column-wise run-length codes, plain or compressed."""

import itertools
import math
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as library
from numpy.typing import NDArray


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return the run lengths of a mask, column by column, starting with pixels outside the mask."""
    flat = np.concatenate(([False], mask.T.ravel(), [not mask[-1, -1]]))
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(ends, prepend=0).tolist()


def decode(segmentation: Any, h: int, w: int) -> NDArray[np.bool_]:
    """Return the mask (h, w) of an object's ``segmentation``; the pixels of polygons are those of COCO's own tools.

    Raises:
        ValueError: It is neither polygons nor a run-length code of that size.
    """
    if isinstance(segmentation, list):
        return _mask(library.merge(library.frPyObjects(_checked(segmentation, h, w), h, w)))
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise ValueError(
            f"a segmentation is a list of polygons or a run-length code, got {type(segmentation).__name__}"
        )
    counts, size = segmentation["counts"], segmentation.get("size", [h, w])
    if size != [h, w]:
        raise ValueError(f"a run-length code of {size} for an image of {h} x {w}")
    if isinstance(counts, str):
        return _mask({"size": [h, w], "counts": counts})
    if not isinstance(counts, list) or not all(isinstance(one, int) and one >= 0 for one in counts):
        raise ValueError("a run-length code whose counts are not whole numbers of at least 0")
    if sum(counts) != h * w:
        raise ValueError(f"a run-length code of {sum(counts)} pixels for an image of {h} x {w}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(w, h).T


def _checked(polygons: Any, h: int, w: int) -> Any:
    """Return the polygons x1, y1, x2, y2, ... after checking them; a point far from the image would take all memory."""
    if not polygons:
        raise ValueError("a mask needs at least one polygon, got none")
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon has at least three points x, y, got {str(polygon)[:40]}")
        if not all(isinstance(one, int | float) and abs(one) < math.inf for one in polygon):
            raise ValueError("a polygon whose coordinates are not numbers")
        limits = itertools.cycle((w, h))
        if not all(-side <= one <= 2 * side for one, side in zip(polygon, limits, strict=False)):
            raise ValueError("a polygon that leaves its image by more than the image's own size")
    return polygons


def _mask(code: dict[str, Any]) -> NDArray[np.bool_]:
    try:
        found: NDArray[np.uint8] = library.decode(code)
    except RuntimeError as error:  # of a text that ends in the middle of a number
        raise ValueError(str(error)) from error
    return found.astype(np.bool_)

"""Masks in COCO's formats: polygons, and column-wise run-length codes, plain or compressed."""

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
        return _mask(library.merge(library.frPyObjects(_checked(segmentation), h, w)))
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise ValueError(
            f"a segmentation is a list of polygons or a run-length code, got {type(segmentation).__name__}"
        )
    counts, size = segmentation["counts"], segmentation.get("size", [h, w])
    if list(size) != [h, w]:
        raise ValueError(f"a run-length code of {size} for an image of {h} x {w}")
    if isinstance(counts, str):
        return _mask({"size": [h, w], "counts": counts})
    if not all(isinstance(one, int) and one >= 0 for one in counts):
        raise ValueError("a run-length code whose counts are not whole numbers of at least 0")
    if sum(counts) != h * w:
        raise ValueError(f"a run-length code of {sum(counts)} pixels for an image of {h} x {w}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(w, h).T


def _checked(polygons: Any) -> Any:
    """Return the polygons x1, y1, x2, y2, ... after checking them."""
    if not polygons:
        raise ValueError("a mask needs at least one polygon, got none")
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f"a polygon has at least three points x, y, got {str(polygon)[:40]}")
        if not np.isfinite(np.asarray(polygon, dtype=np.float64)).all():
            raise ValueError("a polygon whose coordinates are not numbers")
    return polygons


def _mask(code: dict[str, Any]) -> NDArray[np.bool_]:
    found: NDArray[np.uint8] = library.decode(code)
    return found.astype(np.bool_)

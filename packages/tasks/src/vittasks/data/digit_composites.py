"""Composites of handwritten digits: one whole digit among pieces cut from others, drawn and rendered batch by batch."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vittasks.data.sampling import sample_generator

Split = Literal["train", "validation", "test"]

SOURCE_SIDE = 8
HELD_OUT_PER_CLASS = 25
SPLIT_SEED = 1797
# Seeds of the two fixed sets; no run's seed reaches them.
FIXED_SEED = {"validation": 250, "test": 251}
# Mean and standard deviation of the ink, 0 to 1, over 200 epochs of training composites of the default recipe.
MEAN, STD = 0.160, 0.297


@dataclass(frozen=True)
class Recipe:
    """How a composite is put together; the arguments are those of ``DigitScenes``."""

    canvas: int = 32
    digit_scale: tuple[float, float] = (0.45, 0.65)
    max_angle: float = 0.4
    clutter: int = 6
    clutter_side: int = 6
    channels: int = 1

    def __post_init__(self) -> None:
        low, high = self.digit_scale
        if not 0 < low <= high:
            raise ValueError(f"DigitScenes: digit_scale must rise from above 0, got digit_scale=({low}, {high}).")
        turned = min(abs(self.max_angle), math.pi / 4)
        extent = high * (math.cos(turned) + math.sin(turned))
        if extent > 1 + 1e-9:
            raise ValueError(
                f"DigitScenes: a digit of {high} of the canvas turned by {self.max_angle} rad is {extent:.2f} canvases "
                "wide and leaves it; lower digit_scale or max_angle."
            )
        if not 1 <= self.clutter_side <= min(SOURCE_SIDE, self.canvas):
            raise ValueError(
                f"DigitScenes: clutter_side must lie in 1..{min(SOURCE_SIDE, self.canvas)}, the side of a source image "
                f"or of the canvas, got clutter_side={self.clutter_side}."
            )
        if self.clutter < 0 or self.channels < 1:
            raise ValueError(
                "DigitScenes: clutter must be at least 0 and channels at least 1, "
                f"got clutter={self.clutter}, channels={self.channels}."
            )


@dataclass(frozen=True)
class Layout:
    """What n composites hold and where; lengths in pixels, ``(y, x)``, sources as indices into ``load_sources``."""

    digit: NDArray[np.int64]  # n
    side: NDArray[np.float64]  # n
    angle: NDArray[np.float64]  # n, radians, clockwise on screen
    centre: NDArray[np.float64]  # n 2
    pieces: NDArray[np.int64]  # n clutter
    cut: NDArray[np.int64]  # n clutter 2, upper left corner in the source
    paste: NDArray[np.int64]  # n clutter 2, upper left corner on the canvas


@functools.cache
def load_sources() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All source images, 1797 x 8 x 8 with ink from 0 to 1, and their classes."""
    # Imported here: scikit-learn takes a second to import, and only its 1,797 images are needed.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images / 16).astype(np.float32), bunch.target.astype(np.int64)


@functools.cache
def split_sources(split: Split) -> NDArray[np.int64]:
    """Sorted source indices of a split: 25 of each class for validation, 25 for test, the other 1,297 for training.

    The split is by image. The same writer can occur in several splits, since the set does not say who wrote what.
    """
    classes = load_sources()[1]
    stream = np.random.Generator(np.random.Philox(SPLIT_SEED))
    shuffled = np.argsort(stream.random(len(classes)), kind="stable")
    per_class = [shuffled[classes[shuffled] == c] for c in range(10)]
    first, last = {
        "validation": (0, HELD_OUT_PER_CLASS),
        "test": (HELD_OUT_PER_CLASS, 2 * HELD_OUT_PER_CLASS),
        "train": (2 * HELD_OUT_PER_CLASS, None),
    }[split]
    return np.sort(np.concatenate([members[first:last] for members in per_class]))


def draw_layout(recipe: Recipe, split: Split, seed: int, items: Sequence[tuple[int, int]]) -> Layout:
    """The layouts of the composites named by (epoch, index) pairs, each from its own stream.

    Composite ``index`` shows source number ``index`` modulo the size of the split; its pieces come from other images of
    the same split, any class.
    """
    pool = split_sources(split)
    uniform = np.stack([sample_generator(seed, epoch, index).random(4 + 5 * recipe.clutter) for epoch, index in items])
    place = np.array([index for _, index in items]) % len(pool)
    low, high = recipe.digit_scale
    side = recipe.canvas * (low + uniform[:, 0] * (high - low))
    angle = (2 * uniform[:, 1] - 1) * recipe.max_angle
    # Half the side of the upright square that just holds the turned digit.
    reach = side / 2 * np.array([abs(math.cos(a)) + abs(math.sin(a)) for a in angle])
    centre = reach[:, None] + uniform[:, 2:4] * (recipe.canvas - 2 * reach[:, None])
    piece = uniform[:, 4:].reshape(len(items), recipe.clutter, 5)
    others = (place[:, None] + 1 + np.floor(piece[..., 0] * (len(pool) - 1)).astype(np.int64)) % len(pool)
    return Layout(
        digit=pool[place],
        side=side,
        angle=angle,
        centre=centre,
        pieces=pool[others],
        cut=np.floor(piece[..., 1:3] * (SOURCE_SIDE - recipe.clutter_side + 1)).astype(np.int64),
        paste=np.floor(piece[..., 3:5] * (recipe.canvas - recipe.clutter_side + 1)).astype(np.int64),
    )


def render(recipe: Recipe, layout: Layout) -> Tensor:
    """The composites of a layout, (n, channels, canvas, canvas), normalised; where digit and pieces overlap, the darker ink
    counts.

    Every operation is elementwise or per image and sines come from ``math``, so that an image has the same bits in any
    batch: vectorised sines differ in the last bit between the body and the tail of an array.
    """
    images = load_sources()[0]
    offset = (np.arange(recipe.canvas) + 0.5 - layout.centre[..., None]) * 2 / layout.side[:, None, None]
    y, x = offset[:, 0, :, None], offset[:, 1, None, :]
    cos = np.array([math.cos(a) for a in layout.angle])[:, None, None]
    sin = np.array([math.sin(a) for a in layout.angle])[:, None, None]
    coordinates = np.stack([cos * x + sin * y, cos * y - sin * x], axis=-1).astype(np.float32)
    sources = torch.from_numpy(images[layout.digit])[:, None]
    ink = F.grid_sample(sources, torch.from_numpy(coordinates), align_corners=False)[:, 0].numpy()

    span = np.arange(recipe.clutter_side)
    rows = np.arange(len(ink))[:, None, None]
    for source, cut, paste in zip(layout.pieces.T, layout.cut.swapaxes(0, 1), layout.paste.swapaxes(0, 1), strict=True):
        piece = images[source[:, None, None], (cut[:, :1] + span)[:, :, None], (cut[:, 1:] + span)[:, None, :]]
        window = rows, (paste[:, :1] + span)[:, :, None], (paste[:, 1:] + span)[:, None, :]
        ink[window] = np.maximum(ink[window], piece)
    normal = (torch.from_numpy(ink) - MEAN) / STD
    return normal[:, None].repeat(1, recipe.channels, 1, 1)


def compose(recipe: Recipe, split: Split, seed: int, items: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Composites named by (epoch, index) pairs, (n, channels, canvas, canvas), and their classes, (n,)."""
    layout = draw_layout(recipe, split, seed, items)
    return render(recipe, layout), torch.from_numpy(load_sources()[1][layout.digit])


@functools.lru_cache(maxsize=8)
def fixed_composites(recipe: Recipe, split: Literal["validation", "test"], size: int) -> tuple[Tensor, Tensor]:
    """The first ``size`` composites of a held-out split, made once a process; the same whatever a run's seed."""
    return compose(recipe, split, FIXED_SEED[split], [(0, index) for index in range(size)])

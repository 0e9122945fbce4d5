"""Scenes of several handwritten digits, written to disk in the formats of ADE20K and COCO."""

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

from vittasks.data.dense.masks import run_lengths
from vittasks.data.digit_composites import Split, load_sources, split_sources
from vittasks.data.sampling import sample_generator

INK = 0.3
"""A pixel belongs to a digit if its ink is above this fraction of full ink."""

FAINT = 0.05
"""Two digits may overlap where the fainter one has at most this fraction of full ink."""

TRIES = 100
"""Places that are tried for a digit before it is left out."""

SPLITS: dict[str, Split] = {"training": "train", "validation": "validation", "test": "test"}
"""Folders, and the split of the sources that their digits come from."""


@dataclass(frozen=True)
class SceneRecipe:
    """How a scene is put together, and how many there are; lengths in pixels.

    Args:
        side: Rows and columns of a scene.
        digits: Smallest and largest number of digits; those that find no free place are left out.
        digit_side: Smallest and largest side of a digit's square.
        noise: Standard deviation of the noise on every pixel, where full ink is 1.
        training: Scenes for training.
        validation: Scenes for validation.
        test: Scenes for the test.
        seed: Seed of all that is drawn.

    Raises:
        ValueError: A digit does not fit into a scene, or a range is not increasing.
    """

    side: int = 64
    digits: tuple[int, int] = (3, 7)
    digit_side: tuple[int, int] = (14, 26)
    noise: float = 0.1
    training: int = 4000
    validation: int = 200
    test: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.digits[0] <= self.digits[1]:
            raise ValueError(f"SceneRecipe: digits must rise from at least 1, got digits={self.digits}.")
        if not 8 <= self.digit_side[0] <= self.digit_side[1] <= self.side:
            raise ValueError(
                f"SceneRecipe: digit_side must rise within 8..side, got digit_side={self.digit_side}, side={self.side}."
            )
        if min(self.training, self.validation, self.test) < 1:
            raise ValueError(
                "SceneRecipe: there must be scenes for training, validation and test, "
                f"got {self.training}, {self.validation} and {self.test}."
            )


@dataclass(frozen=True)
class Scene:
    """One scene: ink with noise, and the pixels and the class of each digit."""

    image: NDArray[np.uint8]  # side side
    masks: NDArray[np.bool_]  # n side side
    classes: list[int]


def draw_scene(recipe: SceneRecipe, folder: str, index: int) -> Scene:
    """Draw scene number ``index`` of a folder, from its own random stream."""
    images, classes = load_sources()
    sources = split_sources(SPLITS[folder])
    draw = sample_generator(recipe.seed, list(SPLITS).index(folder), index)
    ink = np.zeros((recipe.side, recipe.side), np.float32)
    masks, found = [], []
    for _ in range(int(draw.integers(recipe.digits[0], recipe.digits[1] + 1))):
        side = int(draw.integers(recipe.digit_side[0], recipe.digit_side[1] + 1))
        source = int(sources[draw.integers(len(sources))])
        digit = interpolate(torch.from_numpy(images[source])[None, None], size=(side, side), mode="bilinear")[
            0, 0
        ].numpy()
        window = _free_place(draw, ink, digit)
        if window is None:
            continue
        ink[window] = np.maximum(ink[window], digit)
        mask = np.zeros(ink.shape, np.bool_)
        mask[window] = digit > INK
        masks.append(mask)
        found.append(int(classes[source]))
    noisy = ink + draw.normal(0, recipe.noise, ink.shape)
    return Scene((255 * noisy.clip(0, 1)).round().astype(np.uint8), np.stack(masks), found)


def _free_place(draw: np.random.Generator, ink: NDArray[np.float32], digit: NDArray[np.float32]) -> Any:
    """Return a window in which no pixel of the digit overlaps ink; None if no free one is found after many tries."""
    side = len(digit)
    for _ in range(TRIES):
        y, x = (int(one) for one in draw.integers(0, len(ink) - side + 1, 2))
        window = np.s_[y : y + side, x : x + side]
        if not (np.minimum(ink[window], digit) > FAINT).any():
            return window
    return None


def write_scenes(recipe: SceneRecipe, root: Path) -> Path:
    """Write all scenes, unless they exist, and return their folder, which is named by a hash of what defines them.

    It holds ``images/SPLIT/000000.png``; ``annotations/SPLIT/000000.png`` with 1 for the background and 2 to 11 for the
    digits, as ADE20K has 0 for no class; and ``instances_SPLIT.json`` in the format of COCO, with categories 1 to 10. SPLIT
    is training, validation or test. Several processes may ask for the same scenes at once.
    """
    folder = root / scenes_hash(recipe)[:16]
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=root, prefix=".unfinished-"))
        for split in SPLITS:
            _write_split(recipe, split, getattr(recipe, split), unfinished)
        try:
            unfinished.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(unfinished)
    return folder


def scenes_hash(recipe: SceneRecipe) -> str:
    """Return a hash of the sources and of what defines the scenes."""
    images, classes = load_sources()
    defining = (sorted(asdict(recipe).items()), INK, FAINT, TRIES)
    return sha256(repr(defining).encode() + images.tobytes() + classes.tobytes()).hexdigest()


def _write_split(recipe: SceneRecipe, split: str, count: int, folder: Path) -> None:
    for kind in ("images", "annotations"):
        (folder / kind / split).mkdir(parents=True)
    files: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    for index in range(count):
        scene, name = draw_scene(recipe, split, index), f"{index:06d}.png"
        label = np.ones(scene.image.shape, np.uint8)
        for mask, digit in zip(scene.masks, scene.classes, strict=True):
            label[mask] = digit + 2
            objects.append(_coco_object(len(objects) + 1, index + 1, digit + 1, mask))
        Image.fromarray(scene.image).save(folder / "images" / split / name)
        Image.fromarray(label).save(folder / "annotations" / split / name)
        files.append({"id": index + 1, "file_name": name, "height": recipe.side, "width": recipe.side})
    categories = [{"id": digit + 1, "name": str(digit)} for digit in range(10)]
    content = {"images": files, "annotations": objects, "categories": categories}
    (folder / f"instances_{split}.json").write_text(json.dumps(content) + os.linesep)


def _coco_object(number: int, image: int, category: int, mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return an object in the format of COCO, its mask as counts of a run-length code down the columns."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y, x = int(rows[0]), int(columns[0])
    box = [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": box,
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
    }

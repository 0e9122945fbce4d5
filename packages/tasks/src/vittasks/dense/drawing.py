"""Pictures of a dense task's predictions: image, ground truth, prediction and errors side by side."""

import colorsys
from collections.abc import Sequence
from typing import TypeVar

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.ops import box_iou
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

Colour = tuple[int, int, int]
Target = dict[str, Tensor]

RIGHT, FALSE, MISSED, TRUTH = (0, 160, 60), (220, 40, 40), (255, 160, 0), (60, 110, 220)
"""Colours of objects: correct detections, false ones, missed objects, and objects of the ground truth."""

IGNORED: Colour = (96, 96, 96)
SCORE = 0.3
"""Smallest score of a detection that is drawn."""

OVERLAP = 0.5
"""Smallest intersection over union with an object of the same class at which a detection is correct."""

SMALLEST = 256
"""Pictures with a shorter side are enlarged by a whole factor, so that words can be read."""

PICTURES = 4
"""Images of a validation that are drawn: the first of its first batch."""


def colour(number: int) -> Colour:
    """Return the colour of a class; neighbouring numbers look different."""
    red, green, blue = colorsys.hsv_to_rgb(
        number * 0.618 % 1, 0.55 + 0.4 * (number % 2), 0.95 - 0.25 * (number % 3 == 2)
    )
    return round(255 * red), round(255 * green), round(255 * blue)


def as_picture(image: Tensor) -> Tensor:
    """Return an image (c, H, W) of any range as a picture (3, H, W) of bytes, from its darkest value to its brightest."""
    shown = image.detach().float().cpu()
    shown = shown[:3] if len(shown) >= 3 else shown[:1].expand(3, -1, -1)
    low, high = shown.amin(), shown.amax()
    return ((shown - low) / (high - low).clamp(min=1e-6) * 255).round().to(torch.uint8)


def label_picture(label: Tensor, ignored: int) -> Tensor:
    """Return classes (H, W) as a picture (3, H, W), each in its colour."""
    label = label.cpu()
    picture = torch.zeros(3, *label.shape, dtype=torch.uint8)
    for number in label.unique().tolist():
        shade = IGNORED if number == ignored else colour(number)
        picture[:, label == number] = torch.tensor(shade, dtype=torch.uint8)[:, None]
    return picture


def segmentation_picture(image: Tensor, found: Tensor, truth: Tensor | None, ignored: int) -> Tensor:
    """Return image, truth, prediction and errors side by side; without a truth, image and prediction.

    Args:
        image: (c, H, W), of any size and range.
        found: Classes (h, w).
        truth: Classes (h, w), or ``ignored``.
        ignored: The label of pixels without a class.

    Returns:
        (3, h, k w) of bytes; in the map of errors wrong pixels are red and ignored ones grey, above the image in grey.
    """
    picture = as_picture(interpolate(image[None].float().cpu(), size=found.shape, mode="bilinear")[0])
    panels = [picture, label_picture(found, ignored)]
    if truth is not None:
        truth, grey = truth.cpu(), picture.float().mean(0).expand(3, -1, -1) / 2 + 100
        errors = grey.round().to(torch.uint8)
        errors[:, (found.cpu() != truth) & (truth != ignored)] = torch.tensor(FALSE, dtype=torch.uint8)[:, None]
        errors[:, truth == ignored] = torch.tensor(IGNORED, dtype=torch.uint8)[:, None]
        panels = [picture, label_picture(truth, ignored), panels[1], errors]
    return torch.cat([_enlarged(one) for one in panels], 2)


def detection_picture(image: Tensor, found: Target, truth: Target | None, names: Sequence[str]) -> Tensor:
    """Return image, truth and detections side by side, boxes with class and score; without a truth, image and detections.

    Args:
        image: (c, H, W), of any range.
        found: Boxes (n, 4) in pixels, scores (n,), labels (n,), and maybe masks (n, 1, H, W) from 0 to 1.
        truth: Boxes (m, 4), labels (m,), and maybe masks (m, H, W).
        names: Names of the classes.

    Returns:
        (3, H, k W) of bytes. Right detections are green, false ones red, missed objects orange.
    """
    picture = as_picture(image)
    kept = {name: value[found["scores"] >= SCORE].detach().cpu() for name, value in found.items()}
    words = [
        f"{names[one]} {score:.2f}" for one, score in zip(kept["labels"].tolist(), kept["scores"].tolist(), strict=True)
    ]
    masks = kept["masks"][:, 0] > 0.5 if "masks" in kept else None
    if truth is None:
        shades = [colour(one) for one in kept["labels"].tolist()]
        return torch.cat([_enlarged(picture), _with_objects(picture, kept["boxes"], masks, words, shades)], 2)
    real = {name: value.detach().cpu() for name, value in truth.items()}
    right, missed = matches(kept, real)
    of_truth = [names[one] for one in real["labels"].tolist()]
    drawn = _with_objects(picture, real["boxes"], real.get("masks"), of_truth, [TRUTH] * len(of_truth))
    boxes = torch.cat([kept["boxes"], real["boxes"][missed]])
    both = torch.cat([masks, real["masks"][missed].bool()]) if masks is not None and "masks" in real else masks
    words += [f"{names[one]} missed" for one in real["labels"][missed].tolist()]
    shades = [RIGHT if one else FALSE for one in right.tolist()] + [MISSED] * int(missed.sum())
    return torch.cat([_enlarged(picture), drawn, _with_objects(picture, boxes, both, words, shades)], 2)


def matches(found: Target, truth: Target) -> tuple[Tensor, Tensor]:
    """Return which detections are correct and which objects are missed.

    In order of their scores, detections are matched to the object of their class that they overlap most, by at least half; each
    object is matched once.
    """
    right = torch.zeros(len(found["boxes"]), dtype=torch.bool)
    missed = torch.ones(len(truth["boxes"]), dtype=torch.bool)
    overlaps = box_iou(found["boxes"], truth["boxes"]) * (found["labels"][:, None] == truth["labels"])
    for number in found["scores"].argsort(descending=True).tolist():
        free = overlaps[number] * missed
        if len(free) and free.max() >= OVERLAP:
            right[number], missed[free.argmax()] = True, False
    return right, missed


def log_pictures(task: pl.LightningModule, pictures: Sequence[Tensor]) -> None:
    """Log pictures of a validation to TensorBoard, if the run logs there."""
    if not task.loggers or task.trainer.sanity_checking or not task.trainer.is_global_zero:
        return
    for logger in task.loggers:
        if isinstance(logger, TensorBoardLogger):
            for number, picture in enumerate(pictures):
                logger.experiment.add_image(f"val/picture{number}", picture, task.global_step)


Score = TypeVar("Score")


def scores_by_class(task: pl.LightningModule, prefix: str, values: dict[int, Score]) -> dict[str, Score]:
    """Return the score of each class under the name that the data module gives it: ``test/IoU/cat``."""
    data = getattr(task.trainer, "datamodule", None)
    names = class_names(getattr(data, "class_names", None), max(values, default=0) + 1)
    return {f"{prefix}/{names[number]}": value for number, value in values.items()}


def class_names(names: Sequence[str] | None, count: int) -> Sequence[str]:
    """Return the names of the classes without the separator of metric names, or numbers if there are no names."""
    if names is None or len(names) < count:
        return [str(number) for number in range(count)]
    return [name.replace("/", "-") for name in names]


def _with_objects(
    picture: Tensor, boxes: Tensor, masks: Tensor | None, words: Sequence[str], shades: Sequence[Colour]
) -> Tensor:
    scale = _scale(picture)
    for mask, shade in zip([] if masks is None else masks, shades, strict=False):
        # One by one, since torchvision leaves pixels without a colour that two masks of one call share.
        picture = draw_segmentation_masks(picture, mask.bool(), alpha=0.4, colors=[shade])
    picture = _enlarged(picture)
    if len(boxes):
        picture = draw_bounding_boxes(picture, boxes * scale, list(words), list(shades), width=2)
    return picture


def _scale(picture: Tensor) -> int:
    return max(1, -(-SMALLEST // min(picture.shape[1:])))


def _enlarged(picture: Tensor) -> Tensor:
    scale = _scale(picture)
    return picture.repeat_interleave(scale, 1).repeat_interleave(scale, 2)

"""Transforms that change an image and its labels together: the label of every pixel, or boxes and masks."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tf

Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class FittingCrop(v2.Transform):
    """Crop a random square in which no class has too large a share of the labelled pixels; shorter sides stay whole.

    Args:
        side: Rows and columns of the crop.
        largest_share: A crop is drawn again if one class has a larger share of its labelled pixels; after ten tries the last is
            kept.
        ignored: The label of pixels without a class.

    Source: mmsegmentation's ``RandomCrop`` with ``cat_max_ratio``.
    """

    def __init__(self, side: int, largest_share: float, ignored: int) -> None:
        super().__init__()
        self.side, self.largest_share, self.ignored = side, largest_share, ignored

    def forward(self, *inputs: Any) -> Any:
        """Return image and label with the same crop."""
        image, label = inputs
        for _ in range(10):
            place = _window(image.shape[-2:], (self.side, self.side))
            found = tf.crop(label, *place)
            counts = found[found != self.ignored].flatten().bincount()
            if counts.numel() and counts.count_nonzero() > 1 and counts.max() <= self.largest_share * counts.sum():
                break
        return tf.crop(image, *place), found


class PadTo(v2.Transform):
    """Pad below and to the right to a square: the image with zeros, the label with the ignored one.

    Args:
        side: Rows and columns of the result.
        ignored: The label of padding.
    """

    def __init__(self, side: int, ignored: int) -> None:
        super().__init__()
        self.side, self.ignored = side, ignored

    def forward(self, *inputs: Any) -> Any:
        """Return image and label with the same padding."""
        image, label = inputs
        h, w = image.shape[-2:]
        sides = [0, 0, max(self.side - w, 0), max(self.side - h, 0)]
        return tf.pad(image, sides), tf.pad(label, sides, fill=self.ignored)


class RandomSize(v2.Transform):
    """Resize so that the longer side is at most ``longest`` and the shorter one at most ``shortest``, both times a random
    factor.

    Args:
        shortest: Length of the shorter side, in pixels.
        longest: Length of the longer side, in pixels.
        factors: Smallest and largest factor, drawn evenly.
    """

    def __init__(self, shortest: int, longest: int, factors: tuple[float, float] = (1.0, 1.0)) -> None:
        super().__init__()
        self.shortest, self.longest, self.factors = shortest, longest, factors

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Return the drawn size."""
        low, high = self.factors
        factor = low + (high - low) * float(torch.rand(()))
        return {"size": fitting_size(flat_inputs[0].shape[-2:], factor * self.shortest, factor * self.longest)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return an image, a label, boxes or masks of that size."""
        return tf.resize(inpt, params["size"], antialias=False)


class RandomPart(v2.Transform):
    """Resize to a shorter side drawn from several, and crop a random rectangle; objects outside it are left out.

    Args:
        short_sides: Lengths of the shorter side, in pixels.
        sides: Smallest and largest side of the crop; a shorter side of the image stays whole.
        longest: Largest longer side, in pixels.

    Source: mmdetection's ``RandomCrop`` of type ``absolute_range``, as in the recipes of Swin and DETR.
    """

    def __init__(
        self, short_sides: Sequence[int] = (400, 500, 600), sides: tuple[int, int] = (384, 600), longest: int = 1333
    ) -> None:
        super().__init__()
        self.short_sides, self.sides, self.longest = list(short_sides), sides, longest
        self.whole_objects = v2.SanitizeBoundingBoxes(min_size=1, labels_getter=_of_objects)

    def forward(self, *inputs: Any) -> Any:
        """Return image and objects with the same crop."""
        return self.whole_objects(*super().forward(*inputs))

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Return the drawn size and place."""
        short = self.short_sides[int(torch.randint(len(self.short_sides), ()))]
        size = fitting_size(flat_inputs[0].shape[-2:], short, self.longest)
        low, high = self.sides
        drawn = [int(torch.randint(min(side, low), min(side, high) + 1, ())) for side in size]
        return {"size": size, "place": _window(size, drawn)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return the part of an image, of boxes or of masks."""
        return tf.crop(tf.resize(inpt, params["size"], antialias=False), *params["place"])


class PhotometricDistortion(v2.Transform):
    """Change brightness, contrast, saturation and hue of a colour image from 0 to 1, each with a probability.

    Brightness moves by up to 32 of 255; contrast and saturation are multiplied by 0.5 to 1.5; a coin decides
    whether the contrast is changed before or after the colours; the hue is rotated by up to a tenth of the circle.

    Args:
        probability: Probability of each of the four.

    Source: mmsegmentation's ``PhotoMetricDistortion``. torchvision's ``RandomPhotometricDistort`` multiplies brightness, keeps
    the mean grey in the contrast and exchanges channels.
    """

    def __init__(self, probability: float = 0.5) -> None:
        super().__init__()
        self.probability = probability

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Return the drawn parameters; None for a change that is not made."""
        ranges = {
            "brightness": (-32 / 255, 32 / 255),
            "contrast": (0.5, 1.5),
            "saturation": (0.5, 1.5),
            "hue": (-0.1, 0.1),
        }
        drawn: dict[str, Any] = {
            name: low + (high - low) * float(torch.rand(())) if torch.rand(()) < self.probability else None
            for name, (low, high) in ranges.items()
        }
        return {**drawn, "contrast_first": bool(torch.rand(()) < 0.5)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Return the changed image; labels, boxes and masks are returned as they are."""
        if not isinstance(inpt, tv_tensors.Image):
            return inpt
        image = inpt.as_subclass(Tensor)
        if params["brightness"] is not None:
            image = (image + params["brightness"]).clamp(0, 1)
        if params["contrast"] is not None and params["contrast_first"]:
            image = (image * params["contrast"]).clamp(0, 1)
        if params["saturation"] is not None:
            image = saturated(image, params["saturation"])
        if params["hue"] is not None:
            image = tf.adjust_hue(image, params["hue"])
        if params["contrast"] is not None and not params["contrast_first"]:
            image = (image * params["contrast"]).clamp(0, 1)
        return tv_tensors.Image(image)


def saturated(image: Tensor, factor: float) -> Tensor:
    """Return an image (3, H, W) whose HSV saturation is multiplied by a factor and clipped to 1.

    Hue and value stay: each channel c becomes v - k (v - c), where v is the largest channel of its pixel.
    """
    value, least = image.amax(0, keepdim=True), image.amin(0, keepdim=True)
    most = value / (value - least).clamp(min=1e-12)
    return value - (value - image) * most.clamp(max=factor)


def fitting_size(size: Sequence[int], shortest: float, longest: float) -> list[int]:
    """Return the largest size of the same proportions whose sides keep both limits, halves rounded up."""
    scale = min(longest / max(size), shortest / min(size))
    return [max(1, int(side * scale + 0.5)) for side in size]


def on_image(transform: Callable[[Any], Tensor]) -> Transform:
    """Return a transform that changes the image and leaves the label as it is."""
    return partial(_on_image, transform)


def _on_image(transform: Callable[[Any], Tensor], image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    return transform(image), label


def _window(size: Sequence[int], sides: Sequence[int]) -> tuple[int, int, int, int]:
    """Draw the place of a window in an image: top, left, height and width, at most those of the image."""
    height, width = (min(side, of) for side, of in zip(sides, size, strict=True))
    top, left = (int(torch.randint(of - side + 1, ())) for of, side in zip(size, (height, width), strict=True))
    return top, left, height, width


def _of_objects(inputs: Any) -> tuple[Tensor, ...]:
    """Return the other fields that have an entry for each object."""
    target = inputs[1]
    return tuple(target[name] for name in ("labels", "iscrowd", "area"))

"""Transforms that change an image and its labels together."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tf

Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class FittingCrop(v2.Transform):
    """Crop a square at random, most of whose labelled pixels are not all of one class; smaller images are padded.

    Args:
        side: Rows and columns of the crop.
        largest_share: A crop is drawn again if one class has more of its labelled pixels; after ten tries the last one stays.
        ignored: The label of padding.

    Source: mmsegmentation's ``RandomCrop`` with ``cat_max_ratio``.
    """

    def __init__(self, side: int, largest_share: float, ignored: int) -> None:
        super().__init__()
        self.largest_share, self.ignored = largest_share, ignored
        fill = {tv_tensors.Image: 0, tv_tensors.Mask: ignored}
        self.crop = v2.RandomCrop(side, pad_if_needed=True, fill=fill)

    def forward(self, *inputs: Any) -> Any:
        """Return image and label, cropped alike."""
        for _ in range(10):
            image, label = self.crop(*inputs)
            counts = label[label != self.ignored].flatten().bincount()
            if counts.numel() and counts.count_nonzero() > 1 and counts.max() <= self.largest_share * counts.sum():
                break
        return image, label


class RandomSize(v2.Transform):
    """Resize so that the longer side is at most ``longest`` and the shorter one at most ``shortest``, both times a random
    factor.

    Args:
        shortest: Of the shorter side, in pixels.
        longest: Of the longer side, in pixels.
        factors: Smallest and largest factor, drawn evenly.
    """

    def __init__(self, shortest: int, longest: int, factors: tuple[float, float] = (1.0, 1.0)) -> None:
        super().__init__()
        self.shortest, self.longest, self.factors = shortest, longest, factors

    def forward(self, *inputs: Any) -> Any:
        """Return image and label, resized alike."""
        h, w = inputs[0].shape[-2:]
        low, high = self.factors
        factor = low + (high - low) * float(torch.rand(()))
        scale = min(factor * self.longest / max(h, w), factor * self.shortest / min(h, w))
        size = [int(side * scale + 0.5) for side in (h, w)]
        return tuple(tf.resize(one, size, antialias=False) for one in inputs)


def on_image(transforms: Sequence[v2.Transform]) -> Transform:
    """Return a transform that changes the image and leaves the label as it is."""
    chain = v2.Compose(transforms)

    def transform(image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        changed = chain(image)
        return changed[0] if isinstance(changed, tuple) else changed, label

    return transform

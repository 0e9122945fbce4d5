"""How a segmentation network is applied to an image at evaluation: as a whole or by a sliding window, at one size or several."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from vittasks.segmentation.head import resize

Network = Callable[[Tensor], Tensor]
"""image (b, c, H, W) -> logits (b, classes, H, W)"""


class Inference:
    """Base of the ways to apply a network to images."""

    def logits(self, network: Network, image: Tensor) -> Tensor:
        """Return the logits (b, classes, H, W) of an image (b, c, H, W)."""
        raise TypeError(f"{type(self).__name__} does not define logits(network, image).")


class WholeImage(Inference):
    """The network sees the whole image at once."""

    def logits(self, network: Network, image: Tensor) -> Tensor:
        """Return the network's logits."""
        return network(image)


class SlidingWindow(Inference):
    """The network sees square windows; where they overlap, their logits are averaged.

    Windows lie ``stride`` pixels apart; the last of a row and of a column end with the image. Where a side of the
    image is shorter than a window, the window is cut to it.

    Args:
        window: Side of a window in pixels.
        stride: Pixels from one window to the next, at most ``window``.

    Raises:
        ValueError: ``stride`` does not lie in 1..window.

    Source: mmsegmentation's ``slide_inference``.
    """

    def __init__(self, window: int, stride: int) -> None:
        if not 1 <= stride <= window:
            raise ValueError(f"SlidingWindow: stride must lie in 1..window, got {window=}, {stride=}.")
        self.window, self.stride = window, stride

    def logits(self, network: Network, image: Tensor) -> Tensor:
        """Return the average of the logits of all windows that hold a pixel."""
        h, w = image.shape[2:]
        total, count = torch.zeros(()), image.new_zeros(1, 1, h, w)
        for top in self._starts(h):
            for left in self._starts(w):
                place = (..., slice(top, top + self.window), slice(left, left + self.window))
                found = network(image[place])
                total = total if total.ndim else found.new_zeros(*found.shape[:2], h, w)
                total[place] += found
                count[place] += 1
        return total / count

    def _starts(self, side: int) -> list[int]:
        last = max(side - self.window, 0)
        return [min(number * self.stride, last) for number in range(math.ceil(last / self.stride) + 1)]


def probabilities(
    inference: Inference,
    network: Network,
    image: Tensor,
    size: Sequence[int],
    ratios: Sequence[float] = (1.0,),
    flip: Literal["none", "horizontal"] = "none",
) -> Tensor:
    """Return the probabilities of the classes, averaged over resized and mirrored copies of the image.

    Args:
        inference: How the network is applied to each copy.
        network: The network.
        image: (b, c, H, W).
        size: Rows and columns of the result.
        ratios: Sizes of the copies, as factors of the image's.
        flip: With ``horizontal`` each copy is also seen mirrored.

    Returns:
        (b, classes, *size)
    """
    found = [resize(logits, size).softmax(1) for logits in _copies(inference, network, image, ratios, flip)]
    return torch.stack(found).mean(0) if len(found) > 1 else found[0]


def _copies(
    inference: Inference, network: Network, image: Tensor, ratios: Sequence[float], flip: str
) -> Iterator[Tensor]:
    for ratio in ratios:
        copy = resize(image, [max(1, round(side * ratio)) for side in image.shape[2:]])
        yield inference.logits(network, copy)
        if flip == "horizontal":
            yield inference.logits(network, copy.flip(3)).flip(3)

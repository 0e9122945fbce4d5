"""The loss of segmentation: cross-entropy of every pixel, some of them ignored."""

from typing import Literal

from torch import Tensor
from torch.nn.functional import cross_entropy

from vittasks.segmentation.head import resize


def pixel_loss(logits: Tensor, label: Tensor, ignored: int = 255, mean: Literal["all", "valid"] = "all") -> Tensor:
    """Return the mean cross-entropy of logits that are resized to the label.

    Args:
        logits: (b, classes, h, w) of any size.
        label: (b, H, W), classes or ``ignored``.
        ignored: The label of pixels without a class, whose loss is 0.
        mean: What the sum is divided by: ``all`` pixels, ignored ones included, or the ``valid`` ones.

    Source: ``all`` is mmsegmentation's default, which the papers' recipes use: unlabelled and padded pixels lower the loss and
    its gradient. ``valid`` is the mean of ``torch.nn.functional.cross_entropy``, but 0 where no pixel is valid.
    """
    total = cross_entropy(resize(logits, label.shape[1:]), label, ignore_index=ignored, reduction="sum")
    pixels = label.numel() if mean == "all" else (label != ignored).sum().clamp(min=1)
    return total / pixels

"""Scores of a segmentation over a whole set: one confusion matrix of all pixels, summed over batches and devices."""

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassConfusionMatrix


class PixelScore(MulticlassConfusionMatrix):
    """A score that is computed from the confusion matrix, truth by prediction, of all pixels that are not ignored.

    The collection of all scores counts each pixel once: scores with equal states share one.

    Args:
        num_classes: Number of classes.
        ignored: The label of pixels that do not count.
    """

    higher_is_better = True

    def __init__(self, num_classes: int, ignored: int) -> None:
        super().__init__(num_classes, ignore_index=ignored, validate_args=False)


class MeanIoU(PixelScore):
    """Intersection over union, averaged over the classes that occur in ground truth or prediction."""

    def compute(self) -> Tensor:
        """Return the score, 0 if no pixel counted."""
        hits, truth, predicted = _counts(super().compute())
        union = truth + predicted - hits
        return _mean(hits, union)


class MeanAccuracy(PixelScore):
    """The fraction of a class's pixels that are predicted correctly, averaged over the classes in the ground truth."""

    def compute(self) -> Tensor:
        """Return the score, 0 if no pixel counted."""
        hits, truth, _ = _counts(super().compute())
        return _mean(hits, truth)


class PixelAccuracy(PixelScore):
    """The fraction of all pixels that are predicted correctly."""

    def compute(self) -> Tensor:
        """Return the score, 0 if no pixel counted."""
        hits, truth, _ = _counts(super().compute())
        return hits.sum() / truth.sum().clamp(min=1)


class ClassIoU(PixelScore):
    """Intersection over union of each class; NaN for a class that occurs neither in ground truth nor in prediction."""

    def compute(self) -> Tensor:
        """Return the scores (num_classes,)."""
        hits, truth, predicted = _counts(super().compute())
        return hits / (truth + predicted - hits)


def pixel_scores(num_classes: int, ignored: int, prefix: str) -> MetricCollection:
    """Return mIoU, mAcc and aAcc, which share one confusion matrix."""
    kinds = {"mIoU": MeanIoU, "mAcc": MeanAccuracy, "aAcc": PixelAccuracy}
    return MetricCollection({name: kind(num_classes, ignored) for name, kind in kinds.items()}, prefix=prefix)


def _counts(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each class the correct pixels, the pixels of the class, and the pixels that were predicted as it."""
    confusion = confusion.double()
    return confusion.diagonal(), confusion.sum(1), confusion.sum(0)


def _mean(part: Tensor, whole: Tensor) -> Tensor:
    """Return the mean of part / whole where whole is not 0."""
    occurs = whole > 0
    return torch.where(occurs, part / whole.clamp(min=1), 0).sum() / occurs.sum().clamp(min=1)

"""Segmentation: a pyramid and a head predict the class of every pixel, scored by mIoU."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from vitcore import NormFactory
from vittasks.dense.backbone import DenseBackbone
from vittasks.dense.drawing import PICTURES, log_pictures, scores_by_class, segmentation_picture
from vittasks.dense.public_checkpoint import load_public_checkpoint
from vittasks.freezing import Freezing
from vittasks.optim import OptimizerFactory, ParameterGroups
from vittasks.schedule import ScheduleFactory, WarmupCosine
from vittasks.segmentation.head import HeadFactory, resize
from vittasks.segmentation.inference import Inference, WholeImage, probabilities
from vittasks.segmentation.loss import pixel_loss
from vittasks.segmentation.scores import ClassIoU, pixel_scores
from vittasks.segmentation.semantic_fpn import SemanticFPN
from vittasks.task import CompileMode, SupervisedTask

MULTIPLE = 32
"""Images are padded to a multiple of this many pixels, the stride of a pyramid's coarsest map."""


class Segmentation(SupervisedTask):
    """Train a segmentation network with the cross-entropy of every pixel.

    The image is padded with zeros below and to the right to a multiple of 32 pixels. The logits are resized to the padded image
    and cropped.

    Args:
        backbone: A pyramid, image (b, c, H, W) to maps; its head, its last norm and its class tokens are removed.
        num_classes: Classes of a pixel, the ignored label not counted.
        head: Makes the head for (widths of the maps, num_classes): ``vittasks.SemanticFPN``, ``vittasks.UPerNet``,
            ``vittasks.FCN``.
        auxiliary: Makes a second head that is used in training only, such as ``vittasks.FCN`` beside UPerNet; None for none.
        auxiliary_weight: Factor on the second head's loss.
        map_norm: Makes a normalisation of each map, for (width): ``torch.nn.LayerNorm`` for Swin-like pyramids,
            ``torch.nn.Identity`` for none.
        optimizer: Makes the optimizer for the groups of parameters.
        schedule: Makes the learning-rate schedule, stepped once an optimizer step; None keeps the learning rate.
        ignored: The label of pixels without a class.
        loss_mean: The loss is the mean over ``all`` pixels, ignored ones included, as in the papers' recipes, or over the
            ``valid`` ones.
        inference: How the network is applied at evaluation: ``vittasks.WholeImage`` or ``vittasks.SlidingWindow``.
        test_ratios: Sizes of the copies of an image whose probabilities are averaged in a test, as factors of its size.
        test_flip: With ``horizontal`` each copy is also seen mirrored in a test.
        groups: Which parameters are not decayed, and the learning rate of each part.
        freezing: Which part of the backbone is frozen.
        global_batch: Images of an optimizer step, over all devices, that the learning rate is made for; None for no scaling.
        activations: ``keep`` those of the backbone for the backward pass, or ``recompute`` them there to save memory.
        compile: Mode in which torch.compile compiles the backbone; None for none.
        pretrained: A public checkpoint, or a run of this task, that all weights start from, see
            ``vittasks.load_public_checkpoint``; None for none.

    Logs ``train/loss``; ``val/loss``, ``val/mIoU``, ``val/mAcc``, ``val/aAcc`` and the same under ``test/``, with
    ``test/IoU/CLASS`` for each class that occurs. Scores are fractions, from one confusion matrix over all pixels of the set.
    TensorBoard gets pictures of a validation's first images.
    """

    backbone_path = "backbone.pyramid"

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int,
        head: HeadFactory = SemanticFPN,
        auxiliary: HeadFactory | None = None,
        auxiliary_weight: float = 0.4,
        map_norm: NormFactory = nn.Identity,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory | None = WarmupCosine,
        ignored: int = 255,
        loss_mean: Literal["all", "valid"] = "all",
        inference: Inference = WholeImage(),  # noqa: B008 (it has no state)
        test_ratios: tuple[float, ...] = (1.0,),
        test_flip: Literal["none", "horizontal"] = "none",
        groups: ParameterGroups = ParameterGroups(),  # noqa: B008 (never changed)
        freezing: Freezing = Freezing(),  # noqa: B008 (never changed)
        global_batch: int | None = None,
        activations: Literal["keep", "recompute"] = "keep",
        compile: CompileMode | None = None,
        pretrained: str | None = None,
    ) -> None:
        super().__init__(num_classes, optimizer, schedule, groups, freezing, global_batch, activations, compile)
        self.backbone = DenseBackbone(backbone, norm=map_norm)
        self.prepare_backbone()
        self.head = head(self.backbone.widths, num_classes)
        self.auxiliary = auxiliary(self.backbone.widths, num_classes) if auxiliary else None
        self.auxiliary_weight = auxiliary_weight
        self.ignored, self.loss_mean = ignored, loss_mean
        self.inference, self.test_ratios, self.test_flip = inference, test_ratios, test_flip
        self.val_scores = pixel_scores(num_classes, ignored, "val/")
        self.test_scores = pixel_scores(num_classes, ignored, "test/")
        self.test_classes = ClassIoU(num_classes, ignored)
        if pretrained is not None:
            load_public_checkpoint(self, pretrained)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (b, num_classes, H, W) of an image (b, c, H, W)."""
        return _as_image(self.head(self.backbone(_padded(image))), image)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the loss of both heads."""
        image, label = batch
        maps = self.backbone(_padded(image))
        loss = self._loss(_as_image(self.head(maps), image), label)
        if self.auxiliary is not None:
            loss = loss + self.auxiliary_weight * self._loss(_as_image(self.auxiliary(maps), image), label)
        self.log_means({"train/loss": loss}, len(image))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Score a validation batch."""
        image, label = batch
        logits = resize(self.inference.logits(self, image), label.shape[1:])
        self.val_scores.update(logits.argmax(1), label)
        if batch_index == 0 and self.loggers:
            shown = zip(image[:PICTURES], logits[:PICTURES].argmax(1), label, strict=False)
            log_pictures(self, [segmentation_picture(one, found, truth, self.ignored) for one, found, truth in shown])
        self.log_means({"val/loss": self._loss(logits, label)}, len(image))
        self.log_dict(self.val_scores, batch_size=len(image))

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Score a test batch."""
        image, label = batch
        found = self._probabilities(image, label.shape[1:])
        self.test_scores.update(found.argmax(1), label)
        self.test_classes.update(found.argmax(1), label)
        self.log_means({"test/loss": self._loss(found.clamp(min=1e-12).log(), label)}, len(image))
        self.log_dict(self.test_scores, batch_size=len(image))

    def on_test_epoch_end(self) -> None:
        """Log the score of each class that occurs."""
        scores = enumerate(self.test_classes.compute().tolist())
        self.test_classes.reset()
        # Every process has computed the scores of the whole set, as in ``Detection``.
        found = {number: one for number, one in scores if not math.isnan(one)}
        self.log_dict(scores_by_class(self, "test/IoU", found), sync_dist=True)

    def predict_step(self, batch: Any, batch_index: int) -> Tensor:
        """Return the class of every pixel (b, H, W)."""
        image = batch[0] if isinstance(batch, list | tuple) else batch
        return self.classes(image, image.shape[2:])

    def classes(self, image: Tensor, size: Sequence[int]) -> Tensor:
        """Return the class of every pixel (b, *size) of an image (b, c, H, W)."""
        return self._probabilities(image, size).argmax(1)

    def _loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return pixel_loss(logits, label, self.ignored, self.loss_mean)

    def _probabilities(self, image: Tensor, size: Any) -> Tensor:
        return probabilities(self.inference, self, image, size, self.test_ratios, self.test_flip)


def _padded(image: Tensor) -> Tensor:
    down, across = -image.shape[2] % MULTIPLE, -image.shape[3] % MULTIPLE
    return pad(image, (0, across, 0, down)) if down or across else image


def _as_image(logits: Tensor, image: Tensor) -> Tensor:
    """Resize logits to the padded image and crop the padding."""
    h, w = image.shape[2:]
    return resize(logits, (h + -h % MULTIPLE, w + -w % MULTIPLE))[:, :, :h, :w]

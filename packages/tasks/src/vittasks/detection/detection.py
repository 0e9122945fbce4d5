"""Detection: boxes, and masks with Mask R-CNN, by one of torchvision's detectors on a pyramid, and COCO's mAP."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.detection import MeanAveragePrecision

from vittasks.dense.drawing import PICTURES, class_names, detection_picture, log_pictures, scores_by_class
from vittasks.dense.public_checkpoint import load_public_checkpoint
from vittasks.detection.fcos import FCOS
from vittasks.detection.mask_rcnn import MaskRCNN
from vittasks.freezing import Freezing
from vittasks.optim import OptimizerFactory, ParameterGroups
from vittasks.schedule import ScheduleFactory, WarmupCosine
from vittasks.task import CompileMode, SupervisedTask

DetectorFactory: TypeAlias = Callable[[nn.Module, int], nn.Module]
"""Makes a detector from a pyramid and the number of classes: lists of images and targets to losses, or to detections."""

Target: TypeAlias = dict[str, Tensor]

OVERLAPS, RECALLS = np.linspace(0.5, 0.95, 10).tolist(), np.linspace(0, 1, 101).tolist()
"""The overlaps and recalls over which COCO's mAP is a mean, in double precision: with torchmetrics' own in single precision, an
overlap of exactly .6 would not count as one of .6."""


class Detection(SupervisedTask):
    """Train a detector with the losses that it returns.

    Args:
        backbone: A pyramid, image (b, c, H, W) to maps; its head, its last norm and its class tokens are removed.
        num_classes: Number of classes, the background not counted.
        detector: Makes the detector for (backbone, num_classes): ``vittasks.FCOS``, ``vittasks.RetinaNet``,
            ``vittasks.MaskRCNN``.
        optimizer: Makes the optimizer for the groups of parameters.
        schedule: Makes the learning-rate schedule, stepped once an optimizer step; None keeps the learning rate.
        groups: Which parameters are not decayed, and the learning rate of each part.
        freezing: Which part of the backbone does not learn.
        global_batch: Images of an optimizer step, over all devices, that the learning rate is made for; None for no scaling.
        activations: ``keep`` those of the backbone for the backward pass, or ``recompute`` them there to save memory.
        compile: Mode in which torch.compile compiles the backbone; None for none.
        pretrained: A public checkpoint, or a run of this task, that all weights start from, see
            ``vittasks.load_public_checkpoint``; None for none.

    Logs ``train/loss`` and each loss beside it; ``val/mAP``, ``val/mAP50``, ``val/mAP75``, with Mask R-CNN ``val/mask_mAP`` and
    ``val/mask_mAP50``, and the same under ``test/``, with ``test/AP/CLASS`` and ``test/mask_AP/CLASS`` for each class that
    occurs. Scores are fractions, over the whole set. TensorBoard gets pictures of a validation's first images.
    """

    backbone_path = "network.backbone.maps.pyramid"

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int,
        detector: DetectorFactory = FCOS,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory | None = WarmupCosine,
        groups: ParameterGroups = ParameterGroups(),  # noqa: B008 (never changed)
        freezing: Freezing = Freezing(),  # noqa: B008 (never changed)
        global_batch: int | None = None,
        activations: Literal["keep", "recompute"] = "keep",
        compile: CompileMode | None = None,
        pretrained: str | None = None,
    ) -> None:
        super().__init__(num_classes, optimizer, schedule, groups, freezing, global_batch, activations, compile)
        self.network = detector(backbone, num_classes)
        self.prepare_backbone()
        kinds: Any = ("bbox", "segm") if isinstance(self.network, MaskRCNN) else ("bbox",)
        # Mask R-CNN counts its classes from 1: 0 is the background.
        self.first_label = 1 if isinstance(self.network, MaskRCNN) else 0
        with torch.device("cpu"):  # the scores compute their thresholds, which have no values on the meta device
            how: Any = {"iou_thresholds": OVERLAPS, "rec_thresholds": RECALLS, "backend": "faster_coco_eval"}
            self.val_scores = MeanAveragePrecision(iou_type=kinds, **how)
            self.test_scores = MeanAveragePrecision(iou_type=kinds, **how, class_metrics=True)
        if pretrained is not None:
            load_public_checkpoint(self, pretrained)

    def forward(self, images: Tensor | Sequence[Tensor]) -> list[Target]:
        """Return boxes, scores and labels of images (c, H, W), and masks (1, H, W) from 0 to 1 with Mask R-CNN."""
        found: list[Target] = self.network(list(images))
        return [{**one, "labels": one["labels"] - self.first_label} for one in found]

    def counted_pass(self, images: Tensor) -> None:
        """Run the layers that papers count as a detector's cost, on a fixed number of boxes, whatever is found in the images.

        A detector that has no ``counted_pass`` of its own is applied as at evaluation.

        Args:
            images: (b, c, H, W).
        """
        network: Any = self.network
        if hasattr(network, "counted_pass"):
            network.counted_pass(network.transform(list(images))[0].tensors)
        else:
            network(list(images))

    def training_step(self, batch: tuple[list[Tensor], list[Target]], batch_index: int) -> Tensor:
        """Return the sum of the detector's losses."""
        images, targets = batch
        losses = self.network(images, [{**one, "labels": one["labels"] + self.first_label} for one in targets])
        total = torch.stack(list(losses.values())).sum()
        named = {f"train/{name}": loss for name, loss in losses.items()} | {"train/loss": total}
        self.log_means(named, len(images))
        return total

    def validation_step(self, batch: tuple[list[Tensor], list[Target]], batch_index: int) -> None:
        """Keep the detections of a validation batch."""
        found = self._keep(self.val_scores, batch)
        if batch_index == 0 and self.loggers:
            names = class_names(getattr(self.trainer.datamodule, "class_names", None), self.num_classes)  # type: ignore[attr-defined]
            shown = list(zip(*batch, found, strict=True))[:PICTURES]
            log_pictures(self, [detection_picture(image, one, truth, names) for image, truth, one in shown])

    def test_step(self, batch: tuple[list[Tensor], list[Target]], batch_index: int) -> None:
        """Keep the detections of a test batch."""
        self._keep(self.test_scores, batch)

    def on_validation_epoch_end(self) -> None:
        """Score the detections of the whole set."""
        self._score(self.val_scores, "val")

    def on_test_epoch_end(self) -> None:
        """Score the detections of the whole set."""
        self._score(self.test_scores, "test")

    def predict_step(self, batch: Any, batch_index: int) -> list[Target]:
        """Return boxes, scores, labels, and masks with Mask R-CNN."""
        return self(batch[0] if isinstance(batch, list | tuple) else batch)

    def _keep(self, scores: MeanAveragePrecision, batch: tuple[list[Tensor], list[Target]]) -> list[Target]:
        images, targets = batch
        found = self(images)
        if "masks" in found[0]:
            scores.update([{**one, "masks": one["masks"][:, 0] > 0.5} for one in found], targets)
        else:
            scores.update(found, targets)
        return found

    def _score(self, scores: MeanAveragePrecision, split: str) -> None:
        values = scores.compute()
        scores.reset()
        both = "bbox_map" in values
        names = {"mAP": "map", "mAP50": "map_50", "mAP75": "map_75"}
        named = {f"{split}/{ours}": values[f"bbox_{theirs}" if both else theirs] for ours, theirs in names.items()}
        if both:
            named |= {f"{split}/mask_mAP": values["segm_map"], f"{split}/mask_mAP50": values["segm_map_50"]}
        if split == "test":
            named |= self._of_classes(values, "bbox_" if both else "", "AP")
            named |= self._of_classes(values, "segm_", "mask_AP") if both else {}
        # Every process has computed the scores of the whole set; what is said here keeps Lightning from a warning for each.
        self.log_dict({name: value.clamp(min=0) for name, value in named.items()}, sync_dist=True)

    def _of_classes(self, values: dict[str, Tensor], kind: str, name: str) -> dict[str, Tensor]:
        """Return the score of each class that occurs in the truth."""
        scores = zip(values["classes"].flatten().tolist(), values[f"{kind}map_per_class"].flatten(), strict=True)
        return scores_by_class(self, f"test/{name}", {int(number): score for number, score in scores if score >= 0})

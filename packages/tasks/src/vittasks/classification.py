"""Image classification: a backbone, its loss and optimizer, and top-1 and top-5 accuracy."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from vittasks.mixing import Mixing
from vittasks.optim import OptimizerFactory
from vittasks.schedule import ScheduleFactory, WarmupCosine
from vittasks.task import SupervisedTask


class Classification(SupervisedTask):
    """Train a classifier with cross-entropy.

    Args:
        backbone: The network, image (b, c, H, W) -> logits (b, num_classes); any timm model.
        optimizer: Makes the optimizer; biases, norms, position tables and class tokens are not decayed.
        schedule: Makes the learning-rate schedule, stepped once an optimizer step.
        label_smoothing: Share of the label that is spread over all classes.
        mixing: Mixup and CutMix of training batches.

    Logs ``train/loss``; ``val/loss``, ``val/acc1``, ``val/acc5`` and the same under ``test/``. Accuracies are fractions.
    """

    classes_key = "model.backbone.num_classes"

    def __init__(
        self,
        backbone: nn.Module,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory = WarmupCosine,
        label_smoothing: float = 0.0,
        mixing: Mixing = Mixing(),  # noqa: B008 (never changed)
    ) -> None:
        super().__init__(backbone.num_classes, optimizer, schedule)  # type: ignore[arg-type]
        self.backbone = backbone
        self.label_smoothing = label_smoothing
        self.mixing = mixing
        accuracy = {
            f"acc{k}": MulticlassAccuracy(self.num_classes, top_k=k, average="micro")
            for k in (1, 5)
            if k <= self.num_classes
        }
        self.val_metrics = MetricCollection(dict(accuracy), prefix="val/")
        self.test_metrics = MetricCollection(dict(accuracy), prefix="test/").clone()

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        return self.backbone(image)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a training batch, mixed if asked for."""
        image, label = batch
        if self.mixing.active:
            seed = getattr(getattr(self.trainer, "datamodule", None), "seed", 0)
            image, label = self.mixing.apply(image, label, self.num_classes, (seed, self.current_epoch, batch_index))
        loss = cross_entropy(self(image), label, label_smoothing=self.label_smoothing)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(image), sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Score a validation batch."""
        self._score(batch, "val", self.val_metrics)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Score a test batch."""
        self._score(batch, "test", self.test_metrics)

    def predict_step(self, batch: Any, batch_index: int) -> Tensor:
        """Return the probabilities (b, num_classes)."""
        image = batch[0] if isinstance(batch, list | tuple) else batch
        return self(image).softmax(dim=-1)

    def _score(self, batch: tuple[Tensor, Tensor], split: str, metrics: MetricCollection) -> None:
        image, label = batch
        logits = self(image)
        metrics.update(logits, label)
        self.log(f"{split}/loss", cross_entropy(logits, label), batch_size=len(image), sync_dist=True)
        self.log_dict(metrics, batch_size=len(image))

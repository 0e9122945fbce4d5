"""Image classification: a backbone, its loss and optimizer, and top-1 and top-5 accuracy."""

from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from vittasks.distillation import Distillation, logits_of
from vittasks.freezing import Freezing
from vittasks.mixing import Mixing, refuse_odd_batch
from vittasks.optim import OptimizerFactory, ParameterGroups
from vittasks.schedule import ScheduleFactory, WarmupCosine
from vittasks.task import CompileMode, SupervisedTask


class Classification(SupervisedTask):
    """Train a classifier with cross-entropy.

    Args:
        backbone: The network, image (b, c, H, W) -> logits (b, num_classes); any model of vitmodels, timm or torchvision. The
            logits may be the attribute ``logits`` of its output, as in models of transformers.
        optimizer: Makes the optimizer for the groups of parameters.
        schedule: Makes the learning-rate schedule, stepped once an optimizer step; None keeps the learning rate.
        label_smoothing: Share of the label that is spread over all classes.
        mixing: Mixup and CutMix of training batches.
        distillation: A teacher to learn from in addition to the labels; None for none. A network with a distillation token,
            such as ``vitmodels.deit_small_distilled``, learns from it through that token, any other through its logits.
        groups: Which parameters are not decayed, and the learning rate of each part.
        freezing: Which part of the backbone is frozen.
        global_batch: Images of an optimizer step, over all devices, that the learning rate is made for; None for no scaling.
        activations: ``keep`` those of the backbone for the backward pass, or ``recompute`` them there to save memory.
        compile: Mode in which torch.compile compiles the backbone; None for none.

    Logs ``train/loss``; ``val/loss``, ``val/acc1``, ``val/acc5`` and the same under ``test/``. Accuracies are fractions.
    """

    classes_key = "model.backbone.num_classes"

    def __init__(
        self,
        backbone: nn.Module,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory | None = WarmupCosine,
        label_smoothing: float = 0.0,
        mixing: Mixing = Mixing(),  # noqa: B008 (never changed)
        distillation: Distillation | None = None,
        groups: ParameterGroups = ParameterGroups(),  # noqa: B008 (never changed)
        freezing: Freezing = Freezing(),  # noqa: B008 (never changed)
        global_batch: int | None = None,
        activations: Literal["keep", "recompute"] = "keep",
        compile: CompileMode | None = None,
    ) -> None:
        super().__init__(
            count_classes(backbone), optimizer, schedule, groups, freezing, global_batch, activations, compile
        )
        self.backbone = backbone
        self.prepare_backbone()
        self.label_smoothing = label_smoothing
        self.mixing = mixing
        self.distillation = distillation
        if distillation is not None and hasattr(backbone, "set_distilled_training"):
            backbone.set_distilled_training(True)  # type: ignore[operator]
        accuracy = {
            f"acc{k}": MulticlassAccuracy(self.num_classes, top_k=k, average="micro")
            for k in (1, 5)
            if k <= self.num_classes
        }
        self.val_metrics = MetricCollection(dict(accuracy), prefix="val/")
        self.test_metrics = MetricCollection(dict(accuracy), prefix="test/").clone()

    def check_against(self, data: LightningDataModule | None) -> None:
        """Check that the head and the mixing fit the data, before anything is trained.

        Args:
            data: The data module; an attribute that it lacks (``num_classes``, ``batch_size``) is not checked.

        Raises:
            ValueError: The data has another number of classes, or the batch to be mixed is odd.
        """
        super().check_against(data)
        if self.mixing.active:
            refuse_odd_batch(getattr(data, "batch_size", None) or 0)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        return logits_of(self.backbone(image))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a training batch, which is mixed if ``mixing`` says so."""
        image, label = batch
        if self.mixing.active:
            seed = getattr(getattr(self.trainer, "datamodule", None), "seed", 0)
            image, label = self.mixing.apply(image, label, self.num_classes, (seed, self.current_epoch, batch_index))
        loss = self._loss(image, label)
        self.log_means({"train/loss": loss}, len(image))
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

    def _loss(self, image: Tensor, label: Tensor) -> Tensor:
        output = self.backbone(image)
        own, taught = output if isinstance(output, tuple) else (logits_of(output),) * 2
        loss = cross_entropy(own, label, label_smoothing=self.label_smoothing)
        return loss if self.distillation is None else self.distillation.mix_losses(loss, taught, image)

    def _score(self, batch: tuple[Tensor, Tensor], split: str, metrics: MetricCollection) -> None:
        image, label = batch
        logits = self(image)
        metrics.update(logits, label)
        self.log_means({f"{split}/loss": cross_entropy(logits, label)}, len(image))
        self.log_dict(metrics, batch_size=len(image))


def count_classes(backbone: nn.Module) -> int:
    """Return the number of a network's logits: its ``num_classes``, or the outputs of its last linear map.

    Raises:
        ValueError: The network has neither.
    """
    stated = getattr(backbone, "num_classes", None)
    if isinstance(stated, int):
        return stated
    outputs = [module.out_features for module in backbone.modules() if isinstance(module, nn.Linear)]
    if not outputs:
        raise ValueError(
            f"Classification: the number of classes of {type(backbone).__name__} is unknown: it has no attribute num_classes "
            "and no linear map; choose a network with a classifier."
        )
    return outputs[-1]

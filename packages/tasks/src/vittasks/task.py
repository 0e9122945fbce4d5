"""What every task shares: optimizer, schedule, frozen parts, and the check that the network fits the data."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType, rank_zero_info
from torch import Tensor, nn
from torch.optim import Optimizer

from vittasks.freezing import Freezing
from vittasks.optim import RATE, OptimizerFactory, ParameterGroups
from vittasks.schedule import ScheduleFactory, WarmupCosine
from vittasks.step_batch import StepBatch, step_batch

CompileMode: TypeAlias = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
"""Modes of torch.compile."""


class SupervisedTask(pl.LightningModule):
    """Base of tasks whose networks learn classes; a subclass defines the steps.

    A subclass calls ``prepare_backbone`` when it has made its parts.

    Args:
        num_classes: Classes that the network distinguishes.
        optimizer: Makes the optimizer for the groups of parameters.
        schedule: Makes the learning-rate schedule, stepped once an optimizer step; None keeps the learning rate.
        groups: Which parameters are not decayed, and the learning rate of each part.
        freezing: Which part of the backbone is frozen.
        global_batch: Images of an optimizer step, over all devices, that the learning rate is made for. A run with fewer
            accumulates the gradients of several batches; if that does not reach the number, the learning rate is scaled by the
            ratio. None: a step takes a batch of each device, and nothing is scaled.
        activations: ``keep`` those of the backbone for the backward pass, or ``recompute`` them there, which takes about a third
            more time and much less memory.
        compile: Mode in which torch.compile compiles the backbone; None for none.

    Attributes:
        classes_key: Where a configuration sets the number of classes.
        backbone_path: Where the backbone is in this module.
    """

    classes_key: ClassVar[str] = "model.num_classes"
    backbone_path: ClassVar[str] = "backbone"

    def __init__(
        self,
        num_classes: int,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory | None = WarmupCosine,
        groups: ParameterGroups = ParameterGroups(),  # noqa: B008 (never changed)
        freezing: Freezing = Freezing(),  # noqa: B008 (never changed)
        global_batch: int | None = None,
        activations: Literal["keep", "recompute"] = "keep",
        compile: CompileMode | None = None,  # the name that torch's users know
    ) -> None:
        super().__init__()
        if global_batch is not None and global_batch < 1:
            raise ValueError(
                f"{type(self).__name__}: global_batch must be at least 1, got global_batch={global_batch}."
            )
        self.num_classes = num_classes
        self.optimizer = optimizer
        self.schedule = schedule
        self.groups = groups
        self.freezing = freezing
        self.global_batch = global_batch
        self.activations = activations
        self.compile_mode = compile
        self.step_batch: StepBatch | None = None

    @property
    def _backbone(self) -> nn.Module:
        return self.get_submodule(self.backbone_path)

    def prepare_backbone(self) -> None:
        """Freeze parameters and turn on recomputation, as the arguments say.

        Raises:
            ValueError: The backbone has no such stages, or cannot recompute its activations.
        """
        backbone = self._backbone
        self.freezing.freeze(backbone)
        if self.activations == "recompute":
            if not hasattr(backbone, "set_grad_checkpointing"):
                raise ValueError(
                    f"model.activations is recompute, but {type(backbone).__name__} has no set_grad_checkpointing; choose a "
                    "model of vitmodels or timm, or set model.activations=keep."
                )
            backbone.set_grad_checkpointing(True)  # type: ignore[operator]

    def train(self, mode: bool = True) -> "SupervisedTask":  # noqa: FBT001, FBT002 (torch's signature)
        """Set the mode of all parts; frozen parts stay in evaluation mode."""
        super().train(mode)
        self._keep_frozen_in_evaluation()
        return self

    def setup(self, stage: str) -> None:
        """Check that the network fits the data, choose how many batches a step takes, and compile.

        Raises:
            ValueError: The network does not fit the data.
        """
        data = getattr(self.trainer, "datamodule", None)
        self.check_against(data)
        self._choose_step_batch(getattr(data, "batch_size", None))
        if stage == "fit" and self.compile_mode is not None:
            # A dense task does not call its pyramid but the DenseBackbone around it.
            self.get_submodule(self.backbone_path.removesuffix(".pyramid")).compile(mode=self.compile_mode)

    def on_train_start(self) -> None:
        """Put frozen parts into evaluation mode; Lightning would warn about them if this happened earlier."""
        self._keep_frozen_in_evaluation()

    def _keep_frozen_in_evaluation(self) -> None:
        if self.freezing != Freezing():
            self.freezing.keep_in_evaluation(self._backbone)

    def _choose_step_batch(self, images: int | None) -> None:
        if isinstance(images, int):
            self.step_batch = step_batch(self.trainer, images, self.global_batch)
            self.trainer.accumulate_grad_batches = self.step_batch.accumulated
        elif self.global_batch is not None:
            raise ValueError(
                f"model.global_batch is {self.global_batch}, but the data module does not say how many images a batch has: "
                "give it an attribute batch_size, or set model.global_batch=null."
            )

    def log_means(self, values: Mapping[str, Tensor], images: int) -> None:
        """Log values whose mean over all images of an epoch and all processes is wanted.

        Args:
            values: Name -> mean over the batch.
            images: Images of the batch. As a whole number, Lightning would truncate its mean over processes: with 51 and
                50 images the loss would be 1 % too high.
        """
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=float(images), sync_dist=True)  # type: ignore[arg-type]

    def check_against(self, data: pl.LightningDataModule | None) -> None:
        """Check that the network fits the data, before anything is trained.

        Args:
            data: The data module; without ``num_classes`` it is not checked.

        Raises:
            ValueError: The data has another number of classes.
        """
        classes = getattr(data, "num_classes", self.num_classes)
        if classes != self.num_classes:
            raise ValueError(
                f"{self.classes_key} is {self.num_classes}, but {type(data).__name__} has {classes} classes: "
                f"set {self.classes_key}={classes}."
            )

    def notes(self) -> list[str]:
        """What a reader of the results should know of this training, in phrases; call it after the training."""
        return [str(self.step_batch)] if self.step_batch else []

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that the backbone exempts from weight decay."""
        listed = getattr(self._backbone, "no_weight_decay", set)
        return {f"{self.backbone_path}.{name}" for name in listed()}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients, also before a step of a fused optimizer in bfloat16.

        Lightning refuses that in any mixed precision, since such an optimizer takes scaled gradients; in bfloat16 they are not.
        """
        precision = self.trainer.precision_plugin
        if isinstance(precision, MixedPrecision) and precision.scaler is None:
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or "norm")
            Precision.clip_gradients(precision, optimizer, gradient_clip_val or 0.0, algorithm)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> Any:
        """Make optimizer and schedule for the whole training's number of steps.

        Raises:
            ValueError: The optimizer refuses its arguments, or a schedule is wanted for a training without an end.
        """
        groups = self.groups.split(self, self.no_weight_decay(), self.backbone_path)
        try:
            optimizer = self.optimizer(groups)
        except ValueError as error:
            raise ValueError(f"model.optimizer: {error}") from error
        scale = self.step_batch.lr_scale if self.step_batch else 1.0
        for group in optimizer.param_groups:
            group["lr"] *= scale * group.get(RATE, 1.0)
        if self.global_batch is not None and self.step_batch:
            rate = max(group["lr"] for group in optimizer.param_groups)
            rank_zero_info(f"{self.step_batch}, made for {self.global_batch}: learning rate {rate:.3g}")
        if self.schedule is None:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise ValueError(
                "model.schedule needs to know the end of the training: set trainer.max_epochs or trainer.max_steps, beside "
                "trainer.max_time too; or set model.schedule=null, which keeps the learning rate."
            )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.schedule(optimizer, int(steps)), "interval": "step"},
        }

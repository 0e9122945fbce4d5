"""What every task shares: optimizer and schedule over all its parameters, and the check that it fits the data."""

from collections.abc import Iterator
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch

from vittasks.optim import OptimizerFactory, weight_decay_groups
from vittasks.schedule import ScheduleFactory, WarmupCosine


class SupervisedTask(pl.LightningModule):
    """A network that learns classes; a subclass says how.

    Args:
        num_classes: Classes that the network tells apart.
        optimizer: Makes the optimizer; biases, norms, position tables and class tokens are not decayed.
        schedule: Makes the learning-rate schedule, stepped once an optimizer step.

    Attributes:
        classes_key: Where a configuration sets the number of classes.
    """

    classes_key: ClassVar[str] = "model.num_classes"

    def __init__(
        self,
        num_classes: int,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        schedule: ScheduleFactory = WarmupCosine,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.optimizer = optimizer
        self.schedule = schedule

    def setup(self, stage: str) -> None:
        """Check that the network fits the data.

        Raises:
            ValueError: It does not.
        """
        self.check_against(getattr(self.trainer, "datamodule", None))

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

    def undecayed(self) -> Iterator[str]:
        """Yield the names of the parameters that a part of the network exempts from weight decay."""
        for name, part in self.named_children():
            listed = getattr(part, "no_weight_decay", None)
            if callable(listed):
                yield from (f"{name}.{one}" for one in listed())

    def configure_optimizers(self) -> Any:
        """Make optimizer and schedule for the whole training's number of steps."""
        optimizer = self.optimizer(weight_decay_groups(self, self.undecayed()))
        steps = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.schedule(optimizer, steps), "interval": "step"},
        }

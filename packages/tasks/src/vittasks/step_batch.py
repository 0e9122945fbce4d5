"""How many images an optimizer step takes over all devices, and how a recipe that was made for another number is adapted."""

from typing import NamedTuple

from lightning.pytorch import Trainer


class StepBatch(NamedTuple):
    """The images of one optimizer step.

    Attributes:
        devices: Processes over all nodes, each with a device.
        nodes: Machines.
        images: Images of a device's batch.
        accumulated: Batches whose gradients are added up before a step.
        lr_scale: Factor on the optimizer's learning rate: linear in the images of a step, 1 for the number that the recipe is
            made for.
    """

    devices: int
    nodes: int
    images: int
    accumulated: int
    lr_scale: float

    @property
    def total(self) -> int:
        """Images of the step."""
        return self.devices * self.images * self.accumulated

    def __str__(self) -> str:
        devices = f"{self.devices} devices" if self.devices > 1 else "1 device"
        nodes = f" on {self.nodes} nodes" if self.nodes > 1 else ""
        accumulated = f" x {self.accumulated} accumulated batches" if self.accumulated > 1 else ""
        return f"{self.total} images a step = {devices}{nodes} x {self.images} images{accumulated}"


def step_batch(trainer: Trainer, images: int, wanted: int | None) -> StepBatch:
    """Choose how many batches are accumulated so that a step takes about as many images as the recipe is made for.

    If that number cannot be reached, the learning rate is scaled by the ratio. ``trainer.accumulate_grad_batches`` is kept if the
    user has set it above 1.

    Args:
        trainer: The trainer, whose devices, nodes and accumulated batches are used.
        images: Images of a device's batch.
        wanted: Images of a step that the recipe is made for; None leaves everything as it is.

    Source: the linear rule of Goyal et al., Accurate, large minibatch SGD, 2017.
    """
    devices, given = trainer.world_size, trainer.accumulate_grad_batches
    if wanted is None:
        return StepBatch(devices, trainer.num_nodes, images, given, 1.0)
    accumulated = given if given > 1 else max(1, round(wanted / (devices * images)))
    return StepBatch(devices, trainer.num_nodes, images, accumulated, devices * images * accumulated / wanted)

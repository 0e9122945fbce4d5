"""Parameters that are sharded over the devices instead of copied to each (FSDP2), for any task."""

from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn

STEPS = ("training_step", "validation_step", "test_step", "predict_step")
"""Methods of a task that Lightning calls with a batch."""


class FullySharded(ModelParallelStrategy):
    """Lightning's strategy for FSDP2 with the sharding done: every device holds its part of each parameter.

    Each module in a ModuleList of the network, such as a block, is gathered when it computes; everything else is gathered for the
    whole step. Use it for networks that do not fit on one device together with their optimizer; others are faster with ``ddp``.

    Args:
        save_distributed_checkpoint: Whether each process writes its own part of a checkpoint, which is then a folder. By default
            the first process writes a file, from which one process can go on as well.

    Source: torch's ``fully_shard``; Y. Zhao et al., PyTorch FSDP, VLDB 2023.
    """

    def __init__(self, save_distributed_checkpoint: bool = False) -> None:  # noqa: FBT001, FBT002 (Lightning's argument)
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=save_distributed_checkpoint)

    def setup_environment(self) -> None:
        """Connect to the other processes, and shard the network when Lightning asks it to configure itself."""
        self._data_parallel_size = self.num_processes * self.num_nodes
        super().setup_environment()
        module: Any = self.lightning_module
        mesh = self.device_mesh["data_parallel"]
        module.configure_model = lambda: shard(module, mesh)


def shard(module: LightningModule, mesh: Any) -> None:
    """Shard a task's parameters over a mesh of devices, part by part; once, however often it is called.

    What belongs to no part is gathered when a step of the task begins: Lightning calls the step, not ``forward``.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method  # a second of imports

    if isinstance(module, FSDPModule):
        return
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList | nn.Sequential)]
    for child in (child for one in lists for child in one):
        if any(True for _ in child.parameters()) and not isinstance(child, FSDPModule):
            fully_shard(child, mesh=mesh)
    fully_shard(module, mesh=mesh)
    for step in STEPS:
        if getattr(type(module), step) is not getattr(LightningModule, step):
            register_fsdp_forward_method(module, step)

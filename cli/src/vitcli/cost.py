"""What a model costs: parameters and multiply-adds, counted without running it."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.flop_counter import FlopCounterMode

from vitcli.lightning_cli import VitCLI


def build_on_meta(config: dict[str, Any]) -> tuple[LightningModule, LightningDataModule]:
    """Build the model and the data module of a resolved configuration without memory for weights.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    with torch.device("meta"):
        cli = VitCLI(config)
    return cli.model, cli.datamodule


def count(config: dict[str, Any]) -> dict[str, int]:
    """Return ``parameters`` and ``macs`` (multiply-adds of one image, matrix products and convolutions) of a configuration.

    Raises:
        ValueError: A part cannot be built or does not fit the data's images.
    """
    model, data = build_on_meta(config)
    image = torch.zeros((1, *data.image_shape), device="meta")  # type: ignore[attr-defined]
    with FlopCounterMode(display=False) as counter:
        model.eval()(image)
    parameters = sum(p.numel() for p in model.parameters())
    return {"parameters": parameters, "macs": counter.get_total_flops() // 2}

"""What a model costs: parameters and multiply-adds, counted without running it."""

import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.flop_counter import FlopCounterMode

from vitcli.errors import ConfigError
from vitcli.lightning_cli import VitCLI


def checked_cost(config: dict[str, Any], place: str) -> dict[str, int]:
    """Return ``count(config)``.

    Raises:
        ConfigError: A part cannot be built, the model does not fit the data, or the trainer does not fit this machine.
    """
    try:
        return count(config)
    except Exception as error:
        text = " ".join(str(_said_first(error)).split()).rstrip(".")
        raise ConfigError(f"{place}: {text[:400]}.") from error


def build_on_meta(config: dict[str, Any]) -> tuple[LightningModule, LightningDataModule]:
    """Build the model and the data module of a resolved configuration without memory for weights.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    chatter = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        # What the trainer has to say about this machine it says again when it runs.
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            cli = VitCLI(config)
    finally:
        chatter.setLevel(level)
    return cli.model, cli.datamodule


def count(config: dict[str, Any]) -> dict[str, int]:
    """Return ``parameters`` and ``macs`` (multiply-adds of one image, matrix products and convolutions) of a configuration.

    Raises:
        ValueError: A part cannot be built or does not fit the data's images or classes.
    """
    model, data = build_on_meta(config)
    _compare_classes(model, data)
    shape = data.image_shape  # type: ignore[attr-defined]
    try:
        with FlopCounterMode(display=False) as counter:
            model.eval()(torch.zeros((1, *shape), device="meta"))
    except Exception as error:
        text = " ".join(str(error).split())
        raise ValueError(f"the model does not take the images of the data, {tuple(shape)}: {text}") from None
    parameters = sum(p.numel() for p in model.parameters())
    return {"parameters": parameters, "macs": counter.get_total_flops() // 2}


def _compare_classes(model: LightningModule, data: LightningDataModule) -> None:
    outputs, classes = getattr(model, "num_classes", None), getattr(data, "num_classes", None)
    if outputs is not None and classes is not None and outputs != classes:
        raise ValueError(
            f"model.backbone.num_classes is {outputs}, but {type(data).__name__} has {classes} classes: "
            f"set model.backbone.num_classes={classes}."
        )


def _said_first(error: BaseException) -> BaseException:
    """Return the error that jsonargparse wrapped in its own, or ``error`` itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    wrapped = trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("jsonargparse")
    return _said_first(error.__cause__) if wrapped and error.__cause__ is not None else error

"""Parameters and multiply-adds of a model, counted without computing anything with its weights."""

import json
import logging
import re
import tempfile
import warnings
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.flop_counter import FlopCounterMode

from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import VitCLI
from vitcli.config.origin import Origin
from vitcli.measure.example_input import ExampleInput, blank_image, example_input
from vitcli.measure.prefix_rule import refuse_exchanged
from vitcli.training.loggers import for_a_look
from vitmodels import MisfitError
from vitmodels.skeletons.entries import parameters, wanted_class
from vitmodels.skeletons.parts import walk

MEMORYLESS = ("meta tensor", "Meta tensor", "meta device", "data-dependent", "DataDependent")
"""Parts of torch's messages about an operation that needs values and cannot work with shapes alone."""


def checked_cost(config: dict[str, Any], place: str) -> dict[str, int]:
    """Return ``CostCounter().count(config)``.

    Raises:
        ConfigError: A part cannot be built, the model does not fit the data, or the trainer does not fit this machine.
    """
    return CostCounter().checked(config, place)


def build_on_meta(config: dict[str, Any]) -> tuple[LightningModule, LightningDataModule]:
    """Build the model and the data module of a complete configuration without memory for weights.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    return build(config, "meta")


def build(config: dict[str, Any], device: str) -> tuple[LightningModule, LightningDataModule]:
    """Build the model and the data module of a complete configuration, with their tensors on a device."""
    messages = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = messages.level
    messages.setLevel(logging.ERROR)
    try:
        # The trainer repeats its warnings about this machine when it runs.
        with torch.device(device), warnings.catch_warnings(action="ignore"), tempfile.TemporaryDirectory() as folder:
            cli = VitCLI({**config, "trainer": for_a_look(config["trainer"], folder)})
    finally:
        messages.setLevel(level)
    return cli.model, cli.datamodule


def build_anywhere(config: dict[str, Any]) -> tuple[LightningModule, LightningDataModule]:
    """Build like ``build_on_meta``, or on the CPU what cannot be built without memory for its tensors.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    try:
        return build_on_meta(config)
    except Exception as error:
        if not _needs_memory(error):
            raise
    return build(config, "cpu")


class CostCounter:
    """Counts the costs of many configurations; models that compute the same are run once.

    A model is applied to one example image, see ``vitcli.measure.example_input``. A model that cannot be built or run without
    memory for its tensors is run on the CPU.

    Args:
        size: Height and width of the example image in pixels. If it is given, the files of the data need not be there.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self.size = size
        self.known: dict[str, int] = {}
        self.looked_at: set[str] = set()

    def checked(self, config: dict[str, Any], place: str) -> dict[str, int]:
        """Return ``count(config)``.

        Raises:
            ConfigError: A part cannot be built, the model does not fit the data, or the trainer does not fit this machine.
        """
        try:
            return self.count(config)
        except Exception as error:
            first = _original_error(error)
            if isinstance(first, MisfitError):
                raise ConfigError(f"{place}: {first.head}", first.lines) from error
            raise ConfigError(f"{place}: {error_text(error)}.") from error

    def count(self, config: dict[str, Any]) -> dict[str, int]:
        """Return ``parameters`` and ``macs`` (multiply-adds of one image, matrix products and convolutions).

        Raises:
            ValueError: A part cannot be built or does not fit the data's images or classes, or the data are not in order.
        """
        try:
            return self._count(config, "meta")
        except Exception as error:
            if not _needs_memory(error):
                raise
        return self._count(config, "cpu")

    def _count(self, config: dict[str, Any], device: str) -> dict[str, int]:
        model, data = build(config, device)
        self._check(model, data, config)
        refuse_exchanged(config["model"])
        inputs = example_input(model, data) if self.size is None else blank_image(data, self.size)
        key = f"{inputs.shapes} {json.dumps(_what_is_run(config['model']), sort_keys=True)}"
        if key not in self.known:
            self.known[key] = _macs(model, inputs.to(device))
        return {"parameters": sum(p.numel() for p in model.parameters()), "macs": self.known[key]}

    def _check(self, model: LightningModule, data: LightningDataModule, config: dict[str, Any]) -> None:
        """Call the checks that a data module and a model may have, ``check_data()`` and ``check_against(data)``.

        Arms with the same data look at them once.
        """
        key = json.dumps(config["data"], sort_keys=True)
        if key not in self.looked_at and self.size is None:
            getattr(data, "check_data", lambda: None)()
            self.looked_at.add(key)
        _compare_classes(model, data)
        _compare_channels(config, data)
        getattr(model, "check_against", lambda _: None)(data)


def error_text(error: BaseException) -> str:
    """Return the text of an error, or of the error that jsonargparse wrapped in it, on one line without its full stop."""
    first = _original_error(error)
    text = _of_the_class(str(error)) or str(first)
    return (" ".join(text.split())[:700] or type(first).__name__).rstrip(".!")


def _of_the_class(text: str) -> str:
    """Return what a class said that was tried among several types: jsonargparse lists what each of them said, as ``  - ...``."""
    if "Union subtypes" not in text:
        return ""
    tried = re.findall(r"^  - (.+?)(?=^  - |^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return next((one for one in tried if not one.startswith(("Expected a", "Not a valid subclass of"))), "")


def _macs(model: LightningModule, inputs: ExampleInput) -> int:
    """Return the multiply-adds of ``counted_pass``, which a task may have beside ``forward``."""
    run = getattr(model.eval(), "counted_pass", model)
    try:
        with FlopCounterMode(display=False) as counter:
            run(*inputs.arguments, **inputs.named)
    except Exception as error:
        if _needs_memory(error):
            raise
        text = " ".join(str(error).split())
        raise ValueError(f"the model does not take the images of the data, {inputs.shapes}: {text}") from None
    return counter.get_total_flops() // 2 // inputs.images


def _what_is_run(model: dict[str, Any]) -> dict[str, Any]:
    """Return a model's configuration without its optimizer and its schedule, which cost nothing in ``forward``."""
    entries = parameters(model["class_path"], LightningModule, Origin("", ""))
    kinds = {name: wanted_class(entry.annotation) or object for name, entry in entries.items()}
    arguments = {
        name: value
        for name, value in model.get("init_args", {}).items()
        if not issubclass(kinds.get(name, object), Optimizer | LRScheduler)
    }
    return {"class_path": model["class_path"], **arguments}


def _needs_memory(error: Exception) -> bool:
    """Whether the meta device caused an error: torch raises NotImplementedError for an operation without a meta form."""
    first = _original_error(error)
    return isinstance(first, NotImplementedError) or any(words in str(first) for words in MEMORYLESS)


def _compare_classes(model: LightningModule, data: LightningDataModule) -> None:
    outputs, classes = getattr(model, "num_classes", None), getattr(data, "num_classes", None)
    if outputs is not None and classes is not None and outputs != classes:
        key = getattr(model, "classes_key", "model.backbone.num_classes")
        raise ValueError(f"{key} is {outputs}, but {type(data).__name__} has {classes} classes: set {key}={classes}.")


def _compare_channels(config: dict[str, Any], data: LightningDataModule) -> None:
    shape = getattr(data, "image_shape", None)
    taken = [(".".join(names), value) for names, value in walk(config["model"]) if names[-1] == "in_chans"]
    if shape is None or len(taken) != 1 or taken[0][1] == shape[0]:
        return
    (key, channels), given = taken[0], shape[0]
    other = f", or data.channels={channels}" if "channels" in config["data"].get("init_args", {}) else ""
    raise ValueError(
        f"model.{key} is {channels}, but the images of {type(data).__name__} have {given} "
        f"{'channel' if given == 1 else 'channels'}, {tuple(shape)}: set model.{key}={given}{other}."
    )


def _original_error(error: BaseException) -> BaseException:
    """Return the error that jsonargparse wrapped in its own, or ``error`` itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    wrapped = trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("jsonargparse")
    return _original_error(error.__cause__) if wrapped and error.__cause__ is not None else error

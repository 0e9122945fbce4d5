"""Loading a run's directory: the model in evaluation mode, the transform of its images and the names of its classes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn

from vitcli.config.command_line import COMMAND_LINE
from vitcli.config.errors import ConfigError, nearest
from vitcli.config.lightning_cli import resolve, without_start
from vitcli.config.overlay import lay_over
from vitcli.config.schema import schema
from vitcli.config.yaml_files import read_yaml
from vitcli.measure.cost import build, error_text
from vitcli.training.checkpoints import LAST, UNREADABLE, saved_class_names
from vitmodels.skeletons.parts import walk
from vittasks import Classification
from vittasks.distillation import logits_of

CONFIG = "config.yaml"
Weights = Literal["ema", "last"]


class Logits(nn.Module):
    """A network that returns only the logits of another one.

    Args:
        network: A model of transformers, or another whose output has an attribute ``logits``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        return logits_of(self.network(image))


QUIET = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
"""Settings with which the trainer can be built on any machine, whatever the training needed."""


@dataclass(frozen=True)
class TrainedRun:
    """A trained run.

    Args:
        directory: Where it lies.
        config: Its complete configuration, without a file that the weights started from.
        task: The LightningModule, in evaluation mode, with the trained weights.
        data: The data module; nothing has been read from disk for it yet.
        class_names: The name of each class, in the order of the logits; None if the data module of the run has none.
    """

    directory: Path
    config: dict[str, Any]
    task: LightningModule
    data: LightningDataModule
    class_names: tuple[str, ...] | None

    @property
    def network(self) -> nn.Module:
        """The network that was trained; a task of another package stands for its network."""
        return self.task.backbone if isinstance(self.task, Classification) else self.task

    @property
    def model(self) -> nn.Module:
        """The network, image (b, c, H, W) -> logits (b, num_classes). Models of transformers are wrapped to return logits."""
        return Logits(self.network) if hasattr(self.network, "base_model_prefix") else self.network

    @property
    def transform(self) -> Callable[[Any], Tensor]:
        """The transform of evaluation, from an RGB image of Pillow to a tensor (c, H, W).

        Raises:
            ConfigError: The data module has none.
        """
        found: Callable[[Any], Tensor] | None = getattr(self.data, "eval_transform", None)
        if found is None:
            raise ConfigError(
                f"{self.directory}: {type(self.data).__name__} has no eval_transform, which would turn an image into the "
                "model's input; give the data module such an attribute."
            )
        return found

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height and width of the images that the run was trained for.

        Raises:
            ConfigError: The data module does not say.
        """
        shape = getattr(self.data, "image_shape", None)
        if shape is None:
            raise ConfigError(
                f"{self.directory}: {type(self.data).__name__} has no image_shape (channels, height, width), so that the "
                "model's input is not known; give the data module such an attribute."
            )
        return tuple(shape)


def load_run(
    directory: str | Path, weights: Weights | None = None, overrides: Mapping[str, Any] | None = None
) -> TrainedRun:
    """Load a trained run from its directory: ``runs/NAME/fit0``, or a trial such as ``runs/NAME/ARM/seed0``.

    The model is built from the run's config.yaml, and its weights are those of last.ckpt. Neither the data nor a file that the
    weights started from need be there any more.

    Args:
        directory: The run's directory.
        weights: ``ema``: the averaged weights; ``last``: those of the last step. By default the averaged ones if the run has any.
        overrides: Dotted keys of the configuration and their values, such as ``{"data.crop_pct": 1.0}``.

    Raises:
        ConfigError: There is no trained run, its checkpoint is damaged or lacks these weights, or does not fit the model.
    """
    folder = Path(directory)
    config = _config(folder, overrides or {})
    checkpoint = _checkpoint(folder)
    state = _chosen(checkpoint, weights, folder)
    try:
        with torch.random.fork_rng(devices=[]):
            task, data = build(config, "cpu")
        task.load_state_dict(_at_own_sizes(state, task))
    except Exception as error:
        raise ConfigError(f"{folder}: the run cannot be loaded: {error_text(error)}.") from error
    names = saved_class_names(checkpoint) or _class_names(data)
    return TrainedRun(folder, config, task.eval(), data, names)


def _config(folder: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete configuration of a run with changes, for building model and data alone."""
    path = folder / CONFIG
    if not path.is_file():
        raise ConfigError(_not_a_run(folder))
    written = {name: value for name, value in read_yaml(path).items() if name in ("model", "data")}
    _refuse_unknown(overrides, written)
    config: dict[str, Any] = {}
    for place, content in ((str(path), {**written, "trainer": QUIET}), (COMMAND_LINE, dict(overrides))):
        lay_over(config, schema(), content, place)
    # The caller's random numbers and threads are left alone.
    return {**without_start(resolve(config, str(path))), "seed_everything": False}


def _refuse_unknown(overrides: Mapping[str, Any], written: Mapping[str, Any]) -> None:
    """Refuse a key that the configuration does not have at its top, with the key further down that may have been meant."""
    below = {path[-1]: ".".join(path) for path, _ in walk(written)}
    for key in overrides:
        if key.split(".")[0] not in schema():
            end = f"; did you mean {below[key]}?" if key in below else nearest(key, schema())
            raise ConfigError(f"{COMMAND_LINE}: the configuration has no entry {key!r}{end}")


def _not_a_run(folder: Path) -> str:
    if folder.is_file():
        return f"{folder}: this is a file; give the directory of a run, here {folder.parent}."
    if not folder.exists():
        return (
            f"{folder}: there is no such directory; give that of a run, such as runs/NAME/fit0 or runs/NAME/ARM/seed0."
        )
    below = sorted(path.parent for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/{CONFIG}"))
    if below:
        return f"{folder}: this directory holds {len(below)} runs; name one of them, for example {below[0]}."
    return f"{folder}: there is no {CONFIG} here; give the directory of a run, such as runs/NAME/fit0 or runs/NAME/ARM/seed0."


def _checkpoint(folder: Path) -> dict[str, Any]:
    path = folder / LAST
    if path.is_dir():
        raise ConfigError(f"{path}: the checkpoint is in pieces, one of each process; save its weights in one file.")
    if not path.exists():
        raise ConfigError(
            f"{path}: there is no such file; the run has no complete epoch, or trainer.enable_checkpointing is off."
        )
    try:
        content = torch.load(path, "cpu", weights_only=True)
        if not isinstance(content["state_dict"], dict):
            raise TypeError("its state_dict is not a mapping")
    except UNREADABLE as error:
        raise ConfigError(f"{path}: the checkpoint cannot be read ({error_text(error)}).") from error
    return content


def _chosen(checkpoint: dict[str, Any], weights: Weights | None, folder: Path) -> dict[str, Tensor]:
    """Return the requested weights. Lightning saves averaged weights as state_dict, and those of the last step separately."""
    averaged = "current_model_state" in checkpoint
    if weights == "ema" and not averaged:
        raise ConfigError(
            f"{folder}: weights is ema, but the run averaged no weights; its weights are those of the last step."
        )
    state: dict[str, Tensor] = checkpoint["current_model_state" if averaged and weights == "last" else "state_dict"]
    return state


def _at_own_sizes(state: dict[str, Tensor], task: LightningModule) -> dict[str, Tensor]:
    """Return the weights with tables of positions interpolated to the model's image size, by the modules that own them."""
    own, sized = task.state_dict(), dict(state)
    for name, value in state.items():
        if name in own and own[name].shape != value.shape:
            module, _, leaf = name.rpartition(".")
            resized = getattr(task.get_submodule(module), "resized", None)
            sized[name] = value if resized is None else resized(leaf, value)
    return sized


def _class_names(data: LightningDataModule) -> tuple[str, ...] | None:
    """Return the data module's class names; None if it has none, or needs data that are missing."""
    try:
        names = getattr(data, "class_names", None)
    except (OSError, ValueError):
        return None
    return None if names is None else tuple(map(str, names))

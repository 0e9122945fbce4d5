"""Errors that the user can fix become one sentence, even when they are found only during a run."""

import contextlib
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule

from vitcli.config.errors import ConfigError
from vitmodels.skeletons.other_files import NotACheckpointError, is_safetensors, refuse_other_files
from vitmodels.skeletons.weights_file import LIGHTNING, model_of

OURS = ("vitcore", "vitmodels", "vittasks", "vitcli", "lightning")
"""Packages whose ValueErrors are sentences about the user's input."""

OTHERS = ("torch.optim", "torchvision.transforms", "timm.data")
"""Modules of other packages whose ValueErrors are about arguments that a configuration states."""

SENTENCES = ("lightning.pytorch.callbacks", "lightning.pytorch.plugins.precision")
"""Where Lightning raises RuntimeErrors about the user's input."""

TORCHS = {
    "SyncBatchNorm layers only work with GPU modules": "trainer.sync_batchnorm is true, but torch synchronises BatchNorm on GPUs "
    "only; remove it, or train with trainer.accelerator=gpu"
}
"""ValueErrors of torch that are about the user's input too -> the message shown."""

IN_WORKER = "in DataLoader worker process"


@contextlib.contextmanager
def tell_user_errors(place: str) -> Iterator[None]:
    """Turn an error about the user's input into a ConfigError; any other keeps its traceback.

    Raises:
        ConfigError: The body raised a ValueError of these packages or of Lightning, here or in a process that loads data, or a
            RuntimeError of Lightning's callbacks or precisions, such as EarlyStopping on a metric that is not logged.
    """
    try:
        yield
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        if isinstance(error, ConfigError) or not _is_about_input(error):
            raise
        raise ConfigError(f"{place}: {_sentence(error)}.") from error


def check_checkpoint(path: str | None, model: LightningModule, place: str, backbone: str = "") -> None:
    """Check that a checkpoint can be read and holds the tensors of the model.

    Args:
        path: The file; None is no checkpoint, and a folder with a piece of each process is left to Lightning.
        model: The model; its tensors may be without memory.
        place: Where the path was set, for messages.
        backbone: Import path of the model's backbone, for messages.

    Raises:
        ConfigError: It cannot be read, or lacks tensors of the model.
    """
    if not path or Path(path).is_dir():
        return
    saved = _tensors(path, place)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    different = [
        f"{name} is {saved.get(name, 'missing')} in it and {expected.get(name, 'missing')} in the model"
        for name in (*expected, *(saved.keys() - expected.keys()))
        if saved.get(name) != expected.get(name) and (model.strict_loading or (name in saved and name in expected))
    ]
    if different:
        others = f", and {len(different) - 1} other tensors differ" if len(different) > 1 else ""
        theirs = model_of(path)
        names = f" ({theirs}, here {backbone})" if theirs and theirs != backbone else ""
        raise ConfigError(
            f"{place}: ckpt_path {path} holds another model{names}: {different[0]}{others}; set the model that was "
            f"trained, whose config.yaml lies beside a checkpoint."
        )


def _tensors(path: str, place: str) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the tensors in a Lightning checkpoint."""
    try:
        refuse_other_files(Path(path))
        if is_safetensors(Path(path)):
            raise KeyError(LIGHTNING)
        saved = torch.load(path, map_location="meta", weights_only=True, mmap=Path(path).is_file())
        saved[LIGHTNING]
        return {name: tuple(tensor.shape) for name, tensor in saved["state_dict"].items()}
    except NotACheckpointError as error:
        raise ConfigError(f"{place}: ckpt_path {error}") from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        if isinstance(error, KeyError):
            raise ConfigError(
                f"{place}: ckpt_path {path} holds no training, at most weights; a training starts from weights with "
                f"--model.backbone.pretrained {path}, and continues from a last.ckpt that vitcli fit wrote."
            ) from error
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise ConfigError(
            f"{place}: ckpt_path {path} is not a checkpoint of a training ({why}); give a last.ckpt that vitcli fit wrote."
        ) from error


def _is_about_input(error: Exception) -> bool:
    *_, (last, _) = walk_tb(error.__traceback__)
    module = str(last.f_globals.get("__name__", ""))
    if isinstance(error, RuntimeError):
        return module.startswith(SENTENCES)
    if IN_WORKER in str(error):  # the text holds the traceback of the other process
        *_, file = re.findall(r'File "([^"]+)", line', str(error))
        return bool({*OURS} & {*Path(file).parts})
    if str(error) in TORCHS:
        return True
    return module.split(".")[0] in OURS or module.startswith(OTHERS)


def _sentence(error: Exception) -> str:
    text: Any = str(error).strip()
    if IN_WORKER in text:  # the text is a traceback, whose last line is "type: sentence"
        text = text.splitlines()[-1].partition(": ")[2]
    return TORCHS.get(text, " ".join(text.split()).rstrip("."))

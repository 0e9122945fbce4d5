"""Reading a file of weights: which file a path means, the state dict in it, and what a file is that holds none.

Whatever wraps the state dict comes off: mappings around it, and a prefix that all names share. Averaged weights are preferred.
Nothing in a file is run: only tensors and plain values are read.
"""

import argparse
import pickle
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vitmodels.skeletons.other_files import IN_PIECES, INDEX, is_safetensors, refuse_other_files

AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "teacher")
"""Names of averaged weights beside those of the last step; they come first."""

WRAPPERS = ("state_dict", "model", "model_state_dict", "model_state", "net", "network", "module", "params")
"""Names that a state dict is usually stored under."""

BACKBONE, HEADS = "backbone", ("head", "classifier", "fc")
"""Names under which a file keeps the parts of a classifier apart."""

AVERAGING_COUNTER = "n_averaged"
"""What ``torch.optim.swa_utils`` stores beside the averaged weights."""

PASSED_THROUGH = r"_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\."
"""What torch.compile, FSDP and activation checkpointing put into the names of modules that they wrap."""

TASK_PREFIX, LIGHTNING = "backbone.", "pytorch-lightning_version"
"""The network's attribute in the tasks of this project, and what marks a checkpoint of Lightning."""

IN_FOLDER = ("best.ckpt", "last.ckpt", "model.safetensors", "pytorch_model.bin")
"""Files that are looked for in a directory, in this order: a trial's checkpoints, then a folder of the Hugging Face hub."""

UNREADABLE = (
    *(RuntimeError, EOFError, OSError, SafetensorError, zipfile.BadZipFile),
    *(
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        struct.error,
    ),  # the old form, where bytes are damaged
)
"""What reading a file raises that is damaged or no checkpoint."""

_NUMPYS = {"scalar": np.float64().__reduce__()[0], "_reconstruct": np.empty(0).__reduce__()[0]}
HARMLESS: list[Any] = [
    *(argparse.Namespace, PosixPath, np.ndarray, np.dtype),
    *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
    *((maker, f"numpy.{core}.multiarray.{name}") for core in ("core", "_core") for name, maker in _NUMPYS.items()),
]
"""What trainings store beside their weights and what holds values alone: their arguments, and scores as numbers of NumPy."""

LOCAL_DIR, ADDRESS = "local-dir:", r"\w+://|hf[-_]hub:"


def locate(path: str | Path) -> Path:
    """Return the file that a path means: the file itself, or the checkpoint in a trial's directory or a ``local-dir:`` of timm.

    A path is relative to the working directory; ``~`` is the user's home.

    Raises:
        FileNotFoundError: There is nothing at this path.
        ValueError: It is a directory in which no single checkpoint can be found.
    """
    if re.match(ADDRESS, str(path)):
        raise ValueError(f"{path} is an address; nothing is downloaded here, so fetch the file and give its path.")
    place = Path(str(path).removeprefix(LOCAL_DIR)).expanduser()
    if not place.exists():
        raise FileNotFoundError(f"There is no file {str(place)!r}, seen from {str(Path.cwd())!r}.")
    if not place.is_dir():
        return place
    found = next((place / name for name in IN_FOLDER if (place / name).exists()), None)
    if found is not None and found.is_dir():
        raise ValueError(
            f"{found} is a checkpoint in pieces, as FSDP and DeepSpeed write it; save its state dict alone."
        )
    if found is not None:
        return found
    others = sorted(one for one in place.iterdir() if one.suffix in (".ckpt", ".pth", ".pt", ".bin", ".safetensors"))
    if len(others) == 1:
        return others[0]
    if any(place.glob(f"*{INDEX}")):
        raise ValueError(f"{place} holds {IN_PIECES}.")
    several = f"several checkpoints ({', '.join(one.name for one in others[:4])}); name one of them"
    raise ValueError(
        f"{place} is a directory with {several if others else f'no checkpoint; {IN_FOLDER[1]} or {IN_FOLDER[2]} was expected'}."
    )


def model_of(path: str | Path) -> str:
    """Return the import path of a run's model, from the config.yaml beside its checkpoint; empty without one."""
    try:
        content = yaml.safe_load((locate(path).parent / "config.yaml").read_text(encoding="utf-8"))
        return str(content["model"]["init_args"]["backbone"]["class_path"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return ""


def read_checkpoint(path: str | Path, *, whole: bool = False) -> dict[str, Tensor]:
    """Read a state dict from a PyTorch or safetensors file, out of whatever wraps it, averaged weights first.

    Args:
        path: A file, a trial's directory or a ``local-dir:``, see ``locate``.
        whole: Whether what lies beside the backbone in a checkpoint of Lightning is returned too, such as a segmentation head.

    Raises:
        FileNotFoundError: There is nothing at this path.
        ValueError: The file cannot be read, holds no state dict or several, or objects that only running its code would restore.
    """
    path = locate(path)
    return unwrapped(_content(path), str(path), whole=whole)


def unwrapped(content: Any, source: str, *, whole: bool = False) -> dict[str, Tensor]:
    """Return the state dict in what a file holds, without mappings and prefixes around it, averaged weights first.

    Args:
        content: What the file holds.
        source: The file, for messages.
        whole: As in ``read_checkpoint``.

    Raises:
        ValueError: There is no state dict in it, or there are several.
    """
    state = _state_dict(content, source)
    state = {name: value for name, value in state.items() if name != AVERAGING_COUNTER}
    network = {name: value for name, value in state.items() if name.startswith(TASK_PREFIX)}
    if network and not whole and isinstance(content, Mapping) and LIGHTNING in content:
        state = network  # a task may have further modules, such as a teacher
    return _without_prefix({re.sub(PASSED_THROUGH, "", name): value for name, value in state.items()})


def _content(path: Path) -> Any:
    """Return what a file holds."""
    refuse_other_files(path)
    try:
        with torch.serialization.safe_globals(HARMLESS):
            return load_file(path) if is_safetensors(path) else torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(_more_than_tensors(path, str(error))) from error
    except PermissionError as error:
        raise ValueError(f"{path} cannot be read: permission denied.") from error
    except UNREADABLE as error:
        text = " ".join(str(error).split()).partition(". ")[0][:200]
        raise ValueError(
            f"{path} cannot be read as a checkpoint: the file is cut short or no checkpoint ({text})."
        ) from error


def _more_than_tensors(path: Path, error: str) -> str:
    """Return the sentence about a file that reading without running its code refuses."""
    if not re.search(r"GLOBAL|[Uu]nsupported (global|class)", error):
        return f"{path} cannot be read as a checkpoint: the file is damaged or no checkpoint."
    found = re.search(r"GLOBAL (\S+)", error)
    what = f"an object of the class {found.group(1)}" if found else "objects"
    return (
        f"{path} holds more than tensors and plain values: {what}, such as a whole module or the settings of a training; reading "
        "it would run code from the file. Load it where it was written and save its state dict alone."
    )


def _state_dict(content: Any, source: str) -> Mapping[str, Tensor]:
    """Return the state dict among all that a file holds.

    Raises:
        ValueError: There is none, or there are several and no name says which is meant.
    """
    found = dict(_state_dicts(content, ""))
    if not found:
        raise ValueError(f"{source} holds no state dict: expected names and tensors, also inside of other mappings.")
    largest = max(len(state) for state in found.values())
    large = {place: state for place, state in found.items() if 2 * len(state) > largest}  # the others are bookkeeping
    for name in (*AVERAGED, *WRAPPERS):
        for place in large:
            if name in place.split("."):
                return _with_head(place, found)
    if len(large) > 1:
        raise ValueError(f"{source} holds several state dicts ({', '.join(large)}); save the one that is meant alone.")
    return _with_head(next(iter(large)), found)


def _with_head(place: str, found: Mapping[str, Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """Return the state dict at a place; a backbone together with the classifier that the file keeps beside it."""
    parent, _, name = place.rpartition(".")
    if name != BACKBONE:
        return found[place]
    beside = {head: found.get(f"{parent}.{head}" if parent else head, {}) for head in HEADS}
    return {**found[place], **{f"{head}.{key}": value for head in HEADS for key, value in beside[head].items()}}


def _state_dicts(content: Any, place: str) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Yield (place, names and tensors) of each mapping that has tensors, the outermost first."""
    inside = _named(content)
    tensors = {name: value for name, value in inside.items() if isinstance(value, Tensor)}
    if tensors:
        yield place, tensors
    for name, value in inside.items():
        yield from _state_dicts(value, f"{place}.{name}" if place else name)


def _named(content: Any) -> dict[str, Any]:
    """Return what a mapping has under names, or the mappings in a list; an optimizer's state has numbers for names."""
    if isinstance(content, list | tuple):
        return {str(number): value for number, value in enumerate(content) if isinstance(value, Mapping)}
    if isinstance(content, Mapping):
        return {name: value for name, value in content.items() if isinstance(name, str)}
    return {}


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what all names begin with, such as ``module.`` or ``backbone.``.

    A list of modules, as ``stages.0``, is kept, and so is the name of a layer that is alone, as ``head``.
    """
    while len(state) > 1:
        prefix = next(iter(state)).partition(".")[0] + "."
        if not all(name.startswith(prefix) for name in state):
            break
        bare = {name.removeprefix(prefix): value for name, value in state.items()}
        if all(name.partition(".")[0].isdigit() for name in bare) or all("." not in name for name in bare):
            break
        state = bare
    return state


def modules_in(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return name -> state dict of the modules with a third of a state dict's tensors or more, each with the head beside it."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        module, _, rest = name.partition(".")
        found.setdefault(module, {})[rest] = value
    beside = {name: value for name, value in state.items() if name.partition(".")[0] in HEADS}
    least = max(2, len(state) / 3)
    large = {name: inside for name, inside in found.items() if len(inside) >= least and name not in HEADS}
    return {name: beside | _without_prefix(inside) for name, inside in large.items()}

"""Export of a trained run for other programs; the file is read back and compared with the run before it is kept."""

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vitcli.config.errors import ConfigError
from vitcli.trained.graphs import write_onnx, write_torch_export
from vitcli.trained.load import TrainedRun
from vitcli.trained.weight_files import write_safetensors, write_timm

Network = Callable[[Tensor], Tensor]

TOLERANCE = 1e-3
"""Largest difference between the logits of the run and those of the file, over the largest logit."""


@dataclass(frozen=True)
class Format:
    """A format of files.

    Args:
        name: The file's name in the run's directory, unless another is given.
        write: Writes a run to a path, reads it back, and returns the network that was read.
        packages: What it needs in addition to this project's dependencies.
    """

    name: str
    write: Callable[[TrainedRun, Path], Network]
    packages: tuple[str, ...] = ()


FORMATS = {
    "onnx": Format("model.onnx", write_onnx, ("onnx", "onnxscript", "onnxruntime")),
    "torch_export": Format("model.pt2", write_torch_export),
    "safetensors": Format("model.safetensors", write_safetensors),
    "timm": Format("timm", write_timm),
}


def export(run: TrainedRun, form: str, path: Path) -> float:
    """Write a run in a format; the file is kept only if it computes the same logits as the run.

    Args:
        run: The run.
        form: A key of ``FORMATS``.
        path: The file, or for ``timm`` the directory; it must not exist.

    Returns:
        The largest difference between the logits of the run and those of the file, over the largest logit.

    Raises:
        ConfigError: A package is missing, the path is taken, or the model does not have this form.
        ArithmeticError: The file computes something else; it is not kept.
    """
    _require(form)
    if path.exists():
        raise ConfigError(f"{path}: this exists already; remove it or give another path with --out.")
    images = example_images(run, 3)
    with torch.inference_mode():
        expected = run.model(images)
    if not isinstance(expected, Tensor):
        raise ConfigError(
            f"{run.directory}: {type(run.task).__name__} does not answer with one tensor, which an export is compared by; "
            "classifiers and segmentation networks can be exported."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            network = FORMATS[form].write(run, Path(folder) / path.name)
            with torch.no_grad():
                difference = _difference(network(images), expected)
            for one in Path(folder).iterdir():  # large weights of an ONNX file lie in a second file beside it
                one.replace(path.parent / one.name)
    except OSError as error:
        raise ConfigError(f"{path}: the file cannot be written ({error.strerror or error}).") from error
    return difference


def example_images(run: TrainedRun, count: int) -> Tensor:
    """Return images of random numbers, always the same, of the size that the run was trained for."""
    return torch.randn(count, *run.image_shape, generator=torch.Generator().manual_seed(0))


def _require(form: str) -> None:
    missing = [name for name in FORMATS[form].packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"export --format {form} needs {' and '.join(missing)}, which the extra 'export' installs: "
            "pip install 'vitcore[export]'."
        )


def _difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference over the largest logit.

    Raises:
        ArithmeticError: It is larger than ``TOLERANCE``, or the shapes differ.
    """
    if found.shape != expected.shape:
        raise ArithmeticError(f"the file gives logits of shape {tuple(found.shape)}, the run {tuple(expected.shape)}")
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    if not difference <= TOLERANCE:
        raise ArithmeticError(
            f"the logits of the file differ from those of the run by {difference:.2g} of the largest; "
            f"at most {TOLERANCE:g} is allowed"
        )
    return difference

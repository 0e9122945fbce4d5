"""The model as a graph of operations that runs without its Python code: ONNX, and PyTorch's own exported program."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timm.models import reparameterize_model
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from vitcli.trained.described import as_metadata
from vitcli.trained.load import TrainedRun
from vitcore import DeformedShift

MOST_IMAGES = 4096
"""Largest batch of an exported program."""


def merged(model: nn.Module) -> nn.Module:
    """Return a copy of a model in which parts that were trained apart and compute one thing are one.

    These are the shifts of slide attention, whose fixed and learned filters become their sum; convolutions and the BatchNorms
    behind them; and what timm's models merge themselves, such as the branches of a RepVGG.

    Args:
        model: The model, in evaluation mode.
    """
    model = reparameterize_model(model)
    for part in model.modules():
        if isinstance(part, DeformedShift) and part.kind == "both":
            part.merge()
        if type(part) is nn.Sequential:
            _merge_norms(part)
    return model


def _merge_norms(layers: nn.Sequential) -> None:
    """Merge each convolution with the BatchNorm behind it, whose place stays as an identity."""
    for place, (layer, norm) in enumerate(itertools.pairwise(list(layers))):
        if type(layer) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.track_running_stats:
            layers[place], layers[place + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()


def write_torch_export(run: TrainedRun, path: Path) -> Callable[[Tensor], Tensor]:
    """Write a .pt2 file of ``torch.export`` with the run's description as extra file, and return the program in it."""
    program = torch.export.export(merged(run.model), (_two_images(run),), dynamic_shapes=_free_batch())
    with path.open("wb") as file:  # a path would have to end in .pt2
        torch.export.save(program, file, extra_files=as_metadata(run))
    with path.open("rb") as file:
        network: Callable[[Tensor], Tensor] = torch.export.load(file).module()
    return network


def write_onnx(run: TrainedRun, path: Path) -> Callable[[Tensor], Tensor]:
    """Write an ONNX file, input ``image`` and output ``logits``, and return what onnxruntime makes of it.

    The run's description is among the file's metadata.
    """
    program = torch.onnx.export(
        merged(run.model),
        (_two_images(run),),
        dynamo=True,
        dynamic_shapes=_free_batch(),
        input_names=["image"],
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update(as_metadata(run))
    program.save(path)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["logits"], {"image": images.numpy()})[0])


def _two_images(run: TrainedRun) -> Tensor:
    # A batch of one would be taken for a constant.
    return torch.zeros(2, *run.image_shape)


def _free_batch() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim("batch", min=1, max=MOST_IMAGES)},)

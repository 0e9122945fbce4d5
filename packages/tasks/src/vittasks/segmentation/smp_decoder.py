"""Decoders of segmentation-models-pytorch as heads on any pyramid."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vitmodels.skeletons.initial import draw_seed, initialise

Decoder = Literal["FPN", "UPerNet", "Unet", "Segformer"]
Made = tuple[nn.Module, int]
"""A decoder, and the channels of its output."""


class SmpDecoder(nn.Module):
    """A decoder of segmentation-models-pytorch, and a convolution to the classes.

    It needs that package: ``pip install "vittasks[smp]"``. The decoder gets the maps of strides 4 to 32, and in place of
    the two finer levels that a pyramid lacks, maps without channels, as the package itself does for transformers.

    Args:
        widths: Channels of the four maps, finest first, each half the size of the previous one.
        num_classes: Number of classes.
        decoder: ``FPN``, ``UPerNet``, ``Unet`` or ``Segformer``.
        channels: Channels of the decoder's levels. ``FPN`` needs a multiple of 32 and has twice as many in its pyramid; ``Unet``
            has 4, 2, 1, 1/2 and 1/4 times as many, from coarse to fine.

    Shapes:
        maps [(b, width, h, w), ...] -> logits (b, num_classes, h, w) of the finest map's size, of ``Unet`` (4 h, 4 w)

    Raises:
        ValueError: The package is not installed, or there are not four maps.
    """

    def __init__(self, widths: Sequence[int], num_classes: int, decoder: Decoder = "Unet", channels: int = 64) -> None:
        super().__init__()
        if len(widths) != 4:
            raise ValueError(f"SmpDecoder: a decoder reads four maps, of strides 4 to 32, got {len(widths)} maps.")
        self.decoder, out = DECODERS[decoder]([3, 0, *widths], channels)
        self.classifier = nn.Conv2d(out, num_classes, 3 if decoder == "Unet" else 1, padding="same")
        initialise(self, draw_seed(), decoder_weights)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the logits."""
        b, _, h, w = maps[0].shape
        finer = [maps[0].new_empty(b, 0, scale * h, scale * w) for scale in (4, 2)]
        return self.classifier(self.decoder([*finer, *maps]))


def _fpn(widths: list[int], channels: int) -> Made:
    made = _decoder("fpn", "FPNDecoder")(widths, 5, 2 * channels, channels)
    return made, made.out_channels


def _upernet(widths: list[int], channels: int) -> Made:
    return _decoder("upernet", "UPerNetDecoder")(widths, 5, channels), channels


def _unet(widths: list[int], channels: int) -> Made:
    levels = [int(channels * factor) for factor in (4, 2, 1, 0.5, 0.25)]
    return _decoder("unet", "UnetDecoder")(widths, levels, 5), levels[-1]


def _segformer(widths: list[int], channels: int) -> Made:
    return _decoder("segformer", "SegformerDecoder")(widths, 5, channels), channels


DECODERS: dict[str, Callable[[list[int], int], Made]] = {
    "FPN": _fpn,
    "UPerNet": _upernet,
    "Unet": _unet,
    "Segformer": _segformer,
}


def _decoder(room: str, name: str) -> Any:
    try:
        return getattr(import_module(f"segmentation_models_pytorch.decoders.{room}.decoder"), name)
    except ImportError as error:
        raise ValueError(
            'SmpDecoder: the package segmentation-models-pytorch is not installed; pip install "vittasks[smp]" adds it.'
        ) from error


@torch.no_grad()
def decoder_weights(module: nn.Module) -> None:
    """Kaiming's uniform weights for convolutions, Xavier's for linear maps, zero for biases, as the package draws them."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight, mode="fan_in", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)

"""DETR on a pyramid: the transformer and the losses are those of the package transformers."""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import box_convert

from vitcore import NormFactory
from vittasks.dense.backbone import DenseBackbone

LOSSES = {"loss_ce": 1.0, "loss_bbox": 5.0, "loss_giou": 2.0}
"""The losses of classes, of the sides of boxes and of their overlap, with their weights."""

Target = dict[str, Tensor]


class GivenMap(nn.Module):
    """Takes the place of the transformer's backbone, because what the transformer gets is a feature map already."""

    def forward(self, grid: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return a map (b, c, h, w) and the mask (b, h, w) of what is not padding."""
        return [(grid, mask)]


class DETR(nn.Module):
    """Object queries attend to the coarsest map of a pyramid; each predicts a class, or no object, and a box.

    It needs the package ``transformers``: ``pip install "vittasks[detr]"``. Losses are taken after every layer of the decoder.

    Args:
        pyramid: A pyramid, image (b, c, H, W) to maps.
        num_classes: Number of classes, the background not counted.
        channels: Channels of the transformer, a multiple of ``heads``.
        heads: Number of heads of each attention.
        layers: Number of layers of the encoder, and of the decoder.
        hidden: Channels inside the feed-forwards.
        queries: Number of object queries, and so the largest number of objects in an image.
        dropout: Dropout rate of the transformer.
        map_norm: Makes a normalisation of the map, see ``vittasks.DenseBackbone``.
        short_side: Images are resized to this shorter side, in pixels; of several, one is drawn in training.
        long_side: Largest longer side, in pixels.
        mean: Mean of each channel of an image from 0 to 1, subtracted.
        std: Standard deviation of each channel, divided by.

    Shapes:
        [image (c, H, W), ...] and targets -> losses in training; else boxes, scores and labels of each image, one for each query

    Raises:
        ValueError: ``transformers`` is not installed.

    Source: Carion et al., End-to-End Object Detection with Transformers, ECCV 2020, as PVT trains it for 50 epochs. With its
    option ``auxiliary_loss`` the package normalises the decoder's tokens between the layers too; here they are normalised for
    the heads alone, as in the paper.
    """

    def __init__(
        self,
        pyramid: nn.Module,
        num_classes: int,
        channels: int = 256,
        heads: int = 8,
        layers: int = 6,
        hidden: int = 2048,
        queries: int = 100,
        dropout: float = 0.1,
        map_norm: NormFactory = nn.Identity,
        short_side: tuple[int, ...] = (800,),
        long_side: int = 1333,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
    ) -> None:
        super().__init__()
        transformers = _transformers()
        last = len(pyramid.feature_info) - 1 if hasattr(pyramid, "feature_info") else 0  # type: ignore[arg-type]
        maps = DenseBackbone(pyramid, (last,), map_norm)
        self.backbone = nn.ModuleDict({"maps": maps})
        self.transform = GeneralizedRCNNTransform(short_side, long_side, list(mean), list(std))
        stub = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
        config = transformers.DetrConfig(
            backbone_config=stub, num_labels=num_classes, num_queries=queries, d_model=channels, dropout=dropout,
            encoder_layers=layers, decoder_layers=layers, encoder_ffn_dim=hidden, decoder_ffn_dim=hidden,
            encoder_attention_heads=heads, decoder_attention_heads=heads,
        )  # fmt: skip
        self.transformer = transformers.DetrForObjectDetection(config)
        inner = self.transformer.model
        inner.backbone, inner.input_projection = GivenMap(), nn.Conv2d(maps.widths[0], channels, 1)
        self.stride = maps.strides[0]
        paper_weights(inner)

    def forward(self, images: Sequence[Tensor], targets: Sequence[Target] | None = None) -> Any:
        """Return the losses in training, else the detections of each image."""
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        resized, targets = self.transform(list(images), targets)
        logits, boxes = self._decoded(resized.tensors, resized.image_sizes)
        if self.training:
            return self._losses(logits, boxes, targets or [], resized.image_sizes)
        scores, labels = logits[-1].softmax(-1)[..., :-1].max(-1)
        found = [
            {"boxes": _corners(own, size), "scores": score, "labels": label}
            for own, size, score, label in zip(boxes[-1], resized.image_sizes, scores, labels, strict=True)
        ]
        return self.transform.postprocess(found, resized.image_sizes, sizes)

    def counted_pass(self, images: Tensor) -> None:
        """Run every layer on images (b, c, H, W) of their final size."""
        self._decoded(images, [(images.shape[2], images.shape[3])] * len(images))

    def _decoded(self, images: Tensor, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Return logits (layers, b, queries, classes + 1) and boxes (layers, b, queries, 4) after every layer of the decoder."""
        (grid,) = self.backbone["maps"](images)
        decoder = self.transformer.model.decoder
        with _outputs(decoder.layers) as tokens:
            self.transformer(pixel_values=grid, pixel_mask=_inside(images, sizes, grid.shape[2:]))
        normalised = decoder.layernorm(torch.stack(tokens))
        return (
            self.transformer.class_labels_classifier(normalised),
            self.transformer.bbox_predictor(normalised).sigmoid(),
        )

    def _losses(
        self, logits: Tensor, boxes: Tensor, targets: Sequence[Target], sizes: Sequence[tuple[int, int]]
    ) -> Target:
        wanted = [
            {"class_labels": one["labels"], "boxes": _relative(one["boxes"], size)}
            for one, size in zip(targets, sizes, strict=True)
        ]
        config = copy.copy(self.transformer.config)
        config.auxiliary_loss = True
        _, every, _ = self.transformer.loss_function(
            logits[-1], wanted, logits.device, boxes[-1], config, logits, boxes
        )
        return {
            name: weight * torch.stack([loss for key, loss in every.items() if key.startswith(name)]).sum()
            for name, weight in LOSSES.items()
        }


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            'DETR: the package transformers is not installed; pip install "vittasks[detr]" adds it.'
        ) from error
    return transformers


@contextlib.contextmanager
def _outputs(layers: nn.ModuleList) -> Iterator[list[Tensor]]:
    """Collect the outputs of layers while the body of the ``with`` statement runs."""
    found: list[Tensor] = []
    hooks = [layer.register_forward_hook(lambda module, given, output: found.append(output)) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _inside(images: Tensor, sizes: Sequence[tuple[int, int]], grid: Sequence[int]) -> Tensor:
    """Return which places of a map (b, *grid) lie in an image rather than in the padding of its batch."""
    mask = images.new_zeros(len(sizes), 1, *images.shape[2:])
    for one, (h, w) in zip(mask, sizes, strict=True):
        one[:, :h, :w] = 1
    return interpolate(mask, size=list(grid))[:, 0] > 0


def _relative(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return centre and sides, as fractions of the image's, of boxes (n, 4) in pixels."""
    return box_convert(boxes, "xyxy", "cxcywh") / boxes.new_tensor(size).flip(0).repeat(2)


def _corners(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return boxes (n, 4) in pixels, the inverse of ``_relative``."""
    return box_convert(boxes, "cxcywh", "xyxy") * boxes.new_tensor(size).flip(0).repeat(2)


@torch.no_grad()
def paper_weights(model: nn.Module) -> None:
    """Xavier's uniform weights for all matrices of encoder and decoder, a standard normal for the queries, as in DETR's code."""
    inner: Any = model
    for part in (inner.encoder, inner.decoder):
        for weight in part.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)
    nn.init.normal_(inner.query_position_embeddings.weight)

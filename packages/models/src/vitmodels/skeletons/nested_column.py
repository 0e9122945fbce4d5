"""The isotropic skeleton with two streams: pixel tokens inside each patch, patch tokens and the class token as in a Column."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from timm.layers import DropPath
from timm.models import register_notrace_module
from torch import Tensor, nn

from vitcore import FeatureOp, Mlp, NestedTransformer, NormFactory, OpFactory, PixelEmbedding, SeparateAttention
from vitmodels.skeletons.column import LAYER_NORM, NO_BRANCH, POSITION, Column, column
from vitmodels.skeletons.initial import draw_seed, initialise, vision_transformer_weights
from vitmodels.skeletons.parts import BlockSpec, build_part, entries_of, part
from vitmodels.skeletons.patch_summary import PatchSummary

PIXELS: Any = part("vitcore.PixelEmbedding")
INNER: Any = {"mixer": part("vitcore.SeparateAttention", head_dim=4)}

for _opaque in (PixelEmbedding, NestedTransformer):  # torch.fx cannot trace decisions that depend on shapes
    register_notrace_module(_opaque)


@dataclass
class InnerSpec:
    """The transformer layer of the pixel tokens; its branches are residual.

    Args:
        mixer: What mixes the pixel tokens of one patch.
        feed_forward: What mixes their channels.
        norm: Makes the normalisations of pixel tokens, for (pixel_width), and those around the first patch tokens.
        drop_path_scale: Factor on the layer's stochastic depth rate, by which patches are drawn; 0 for none.
    """

    mixer: OpFactory = SeparateAttention
    feed_forward: OpFactory = Mlp
    norm: NormFactory = nn.LayerNorm
    drop_path_scale: float = 1.0


def build_inner(data: InnerSpec | Mapping[str, Any]) -> InnerSpec:
    """Turn the data of the pixel tokens' layer into an InnerSpec that holds factories.

    Raises:
        ValueError: An entry is misspelt or no part, or an import path leads nowhere.
    """
    entries = entries_of(data, InnerSpec)
    return InnerSpec(
        **entries | {name: build_part(entries[name]) for name in ("mixer", "feed_forward", "norm") if name in entries}
    )


class NestedColumn(Column):
    """A Column whose grid is told, in front of each block, what the pixel tokens of its patches have become.

    No pixel token sees another patch, and none sees the grid. The class token has no pixels.

    Args:
        pixels: Makes the pixel tokens from the image.
        inner: The layers of the pixel tokens in order, one for each block.
        outer: The column of the patch tokens, whose stem makes the grid from the pixel tokens; its parts become this model's.
        global_pool: What the head reads: the class ``token``, the ``avg`` of the grid, or all tokens ("").

    Raises:
        ValueError: The head cannot read what ``global_pool`` names.

    Shapes:
        image (b, in_chans, H, W) -> logits (b, num_classes)
    """

    def __init__(
        self,
        pixels: PixelEmbedding,
        inner: list[NestedTransformer],
        outer: Column,
        global_pool: Literal["token", "avg", ""],
    ) -> None:
        blocks: list[Any] = list(outer.blocks)
        sizes = (outer.in_chans, outer.num_features, outer.num_classes)
        super().__init__(
            outer.stem,
            outer.position,
            outer.num_prefix_tokens,
            blocks,
            outer.norm,
            *sizes,
            global_pool,
            outer.drop_rate,
        )
        self.pixels = pixels
        self.inner = nn.ModuleList(inner)

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that are positions or tokens: they take no weight decay."""
        return super().no_weight_decay() | {"pixels.position"}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (timm's signature)
        """Tell timm which parameters lie at which depth: a layer of the pixel tokens where its block does."""
        blocks = [(r"^(?:blocks|inner)\.(\d+)", None), (r"^norm", (99999,))]
        return {"stem": r"^prefix|^position|^stem|^pixels", "blocks": blocks}

    def walk(self, image: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield grid (b, h, w, width) and prefix (b, p, width) in front of the first block and behind each."""
        pixels = self.pixels(image)
        grid, prefix = self.embed(pixels)
        yield grid, prefix
        for inner, block in zip(self.inner, self.blocks, strict=True):
            pixels, summed = self.apply_block(inner, pixels, grid)
            grid, prefix = self.apply_block(block, summed, prefix)  # type: ignore[arg-type]
            yield grid, prefix

    def macs(self, height: int, breadth: int) -> int:
        """Multiply-adds for an image of height x breadth pixels that patches fill."""
        h, w = self.stem.map_size(height, breadth)
        inner = sum(layer.macs(h, w) for layer in self.inner)  # type: ignore[operator]
        return self.pixels.macs(h, w) + inner + super().macs(height, breadth)

    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,  # noqa: FBT001, FBT002 (timm's signature)
        prune_head: bool = True,  # noqa: FBT001, FBT002
    ) -> list[int]:
        """Drop the layers, and on request norm and head, that the chosen features do not need; return their indices."""
        chosen = super().prune_intermediate_layers(indices, prune_norm, prune_head)
        self.inner = self.inner[: len(self.blocks)]
        return chosen


def nested_column(
    num_classes: int = 1000,
    in_chans: int = 3,
    img_size: int | tuple[int, int] = 224,
    width: int = 192,
    pixel_width: int = 12,
    depth: int = 12,
    pixels: Callable[[int, int], PixelEmbedding] = PIXELS,
    inner: InnerSpec = INNER,
    position: Callable[[int, tuple[int, int], int], FeatureOp] = POSITION,
    prefix_tokens: int = 1,
    stage1: BlockSpec = NO_BRANCH,
    stage2: BlockSpec = NO_BRANCH,
    stage3: BlockSpec = NO_BRANCH,
    norm: NormFactory = LAYER_NORM,
    global_pool: Literal["token", "avg", ""] = "token",
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> NestedColumn:
    """Build an isotropic vision transformer with a stream of pixel tokens from the data of its parts.

    Args:
        num_classes: Classes; 0 for no head.
        in_chans: Channels of the image.
        img_size: Height and width in pixels that the patches' position table is made for; other sizes interpolate it.
        width: Channels of the patch tokens.
        pixel_width: Channels of the pixel tokens.
        depth: Number of blocks, and of layers of the pixel tokens.
        pixels: Makes the pixel tokens from the image, for (in_chans, pixel_width).
        inner: The layer of the pixel tokens in front of each block.
        position: Makes the absolute position of the patches, for (width, grid_size, prefix_tokens).
        prefix_tokens: Class tokens beside the grid.
        stage1: The blocks of the first third of the layers (low).
        stage2: The blocks of the second third (mid).
        stage3: The blocks of the last third (high).
        norm: Makes the normalisation before the head, for (width).
        global_pool: What the head reads: the class token, the average of the grid, or all tokens ("").
        drop_rate: Dropout before the head.
        drop_path_rate: Stochastic depth rate of the last block and layer; it rises linearly from 0.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    seed = draw_seed()
    spec = build_inner(inner)
    stem = build_part(pixels)(in_chans, pixel_width)
    outer = column(
        num_classes=num_classes,
        in_chans=in_chans,
        img_size=img_size,
        width=width,
        depth=depth,
        stem=lambda _, width: PatchSummary(width, pixel_width, stem.side, stem.reduction, spec.norm),
        position=position,
        prefix_tokens=prefix_tokens,
        stage1=stage1,
        stage2=stage2,
        stage3=stage3,
        norm=norm,
        global_pool=global_pool,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )
    rates = torch.linspace(0, drop_path_rate * spec.drop_path_scale, depth, device="cpu").tolist()
    layers = [
        NestedTransformer(
            width,
            pixel_width,
            spec.mixer,
            spec.feed_forward,
            pixels=stem.side**2,
            norm=spec.norm,
            drop_path=functools.partial(DropPath, rate),
        )
        for rate in rates
    ]
    model = NestedColumn(stem, layers, outer, global_pool)
    initialise(model, seed, vision_transformer_weights)
    return model

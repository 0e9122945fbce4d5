"""The isotropic skeleton with two streams: pixel tokens inside each patch, and the tokens of a Column."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from timm.layers import DropPath
from timm.models import register_notrace_module
from torch import Tensor, nn

from vitcore import Embedding, Mlp, NestedTransformer, NormFactory, OpFactory, PixelEmbedding, SeparateAttention
from vitcore.norm import build_norm, normalise
from vitmodels.skeletons.column import Column, column
from vitmodels.skeletons.initial import draw_seed, initialise, vision_transformer_weights
from vitmodels.skeletons.parts import build_part, entries_of, part
from vitmodels.skeletons.signature import with_arguments_of

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
        ValueError: An entry is misspelt or describes no part, or an import path leads nowhere.
    """
    entries = entries_of(data, InnerSpec)
    return InnerSpec(
        **entries | {name: build_part(entries[name]) for name in ("mixer", "feed_forward", "norm") if name in entries}
    )


class PatchSummary(Embedding):
    """Concatenate the pixel tokens of each patch and map them to one token, with a norm before and after.

    Args:
        width: Channels of the grid.
        pixel_width: Channels of a pixel token.
        side: Pixel tokens on a side of a patch.
        patch_size: Side of a patch in pixels of the image, from which ``map_size`` counts; ``side`` divides it.
        norm: Makes the two normalisations.

    Shapes:
        pixels (b, h, w, side**2, pixel_width) -> grid (b, h, w, width)

    Cost: h * w * side**2 * pixel_width * width multiply-adds.
    """

    def __init__(self, width: int, pixel_width: int, side: int, patch_size: int, norm: NormFactory) -> None:
        super().__init__()
        self.reduction, self.side = patch_size, side
        joint = side**2 * pixel_width
        self.norm, self.projection = build_norm(norm, joint), nn.Linear(joint, width)
        self.projected_norm = build_norm(norm, width)

    def forward(self, pixels: Float[Tensor, "b h w m d"]) -> Float[Tensor, "b h w c"]:
        """Return the patch tokens."""
        return normalise(self.projected_norm, self.projection(normalise(self.norm, pixels.flatten(3))))

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Rows and columns of the grid for an image of h x w pixels; the pixel tokens are counted first, rounded up."""
        stride = self.reduction // self.side
        return -(-h // stride) // self.side, -(-w // stride) // self.side

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds of the linear map."""
        return h * w * self.projection.weight.numel()


class NestedColumn(Column):
    """A Column that adds a summary of each patch's pixel tokens to its grid before every block.

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
        """Names of the parameters without weight decay: positions and tokens."""
        return super().no_weight_decay() | {"pixels.position"}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (timm's signature)
        """Return regular expressions that tell timm the depth of each parameter; a pixel layer counts with its block."""
        blocks = [(r"^(?:blocks|inner)\.(\d+)", None), (r"^norm", (99999,))]
        return {"stem": r"^prefix|^position|^stem|^pixels", "blocks": blocks}

    def walk(self, image: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield grid (b, h, w, width) and prefix (b, p, width) before the first block and after each block."""
        pixels = self.pixels(image)
        grid, prefix = self.embed(pixels)
        yield grid, prefix
        for inner, block in zip(self.inner, self.blocks, strict=True):
            pixels, summed = self.apply_block(inner, pixels, grid)
            grid, prefix = self.apply_block(block, summed, prefix)  # type: ignore[arg-type]
            yield grid, prefix

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds for an image of h x w pixels that patches fill."""
        rows, columns = self.stem.map_size(h, w)
        inner = sum(layer.macs(rows, columns) for layer in self.inner)  # type: ignore[operator]
        return self.pixels.macs(rows, columns) + inner + super().macs(h, w)

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


@with_arguments_of(column, width=("width", "pixel_width"), stem=("pixels", "inner"))
def nested_column(
    in_chans: int = 3,
    width: int = 192,
    pixel_width: int = 12,
    depth: int = 12,
    pixels: Callable[[int, int], PixelEmbedding] = PIXELS,
    inner: InnerSpec = INNER,
    global_pool: Literal["token", "avg", ""] = "token",
    drop_path_rate: float = 0.0,
    **arguments: Any,
) -> NestedColumn:
    """Build an isotropic vision transformer with a stream of pixel tokens from the data of its parts.

    Args:
        in_chans: Channels of the image.
        width: Channels of the patch tokens.
        pixel_width: Channels of the pixel tokens.
        depth: Number of blocks, and of layers of the pixel tokens.
        pixels: Makes the pixel tokens from the image, for (in_chans, pixel_width).
        inner: The layer of the pixel tokens in front of each block.
        global_pool: What the head reads: the class token, the average of the grid, or all tokens ("").
        drop_path_rate: Stochastic depth rate of the last block and layer; it rises linearly from 0.
        **arguments: The arguments of ``column`` except ``stem``; ``position`` and ``img_size`` are those of the patch tokens.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    seed = draw_seed()
    spec = build_inner(inner)
    stem = build_part(pixels)(in_chans, pixel_width)
    outer = column(
        in_chans=in_chans,
        width=width,
        depth=depth,
        stem=lambda _, width: PatchSummary(width, pixel_width, stem.side, stem.reduction, spec.norm),
        global_pool=global_pool,
        drop_path_rate=drop_path_rate,
        **arguments,
    )
    rates = torch.linspace(0, drop_path_rate * spec.drop_path_scale, depth, device="cpu").tolist()
    layers = [_pixel_layer(spec, width, pixel_width, stem.side**2, rate) for rate in rates]
    model = NestedColumn(stem, layers, outer, global_pool)
    initialise(model, seed, vision_transformer_weights)
    return model


def _pixel_layer(spec: InnerSpec, width: int, pixel_width: int, pixels: int, rate: float) -> NestedTransformer:
    drop_path = functools.partial(DropPath, rate)
    return NestedTransformer(
        width, pixel_width, spec.mixer, spec.feed_forward, pixels=pixels, norm=spec.norm, drop_path=drop_path
    )

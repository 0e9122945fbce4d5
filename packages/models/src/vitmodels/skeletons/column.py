"""The Column, which the field calls an isotropic network: one width and one resolution from the stem to the head.

Class tokens go beside the grid, as ``prefix``.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vitcore import Embedding, FeatureOp, NormFactory
from vitcore.norm import build_norm
from vitcore.op import value_of
from vitmodels.skeletons.block import Block
from vitmodels.skeletons.classifier import ImageClassifier
from vitmodels.skeletons.initial import draw_seed, initialise, vision_transformer_weights
from vitmodels.skeletons.parts import BlockSpec, build_block, build_part, part
from vitmodels.skeletons.recompute import recompute

LAYER_NORM: Any = part("torch.nn.LayerNorm", eps=1e-6)
PATCHES: Any = part("vitcore.PatchEmbedding", patch_size=16)
POSITION: Any = part("vitcore.AbsolutePosition", interpolation="bicubic")
NO_BRANCH: Any = {}


class Column(ImageClassifier):
    """Stem, positions, blocks, norm, head, from parts that are built; ``column`` builds them from data.

    Args:
        stem: Makes the grid from the image; its stride is its attribute ``reduction``.
        position: Gives what is added to grid and prefix after the stem.
        prefix_tokens: Class tokens beside the grid.
        blocks: The blocks in order.
        norm: The normalisation before the head.
        in_chans: Channels of the image.
        width: Channels of the tokens.
        num_classes: Classes of the head; 0 for none.
        global_pool: What the head reads: the class ``token``, the ``avg`` of the grid, or all tokens ("").
        drop_rate: Dropout before the head.

    Raises:
        ValueError: The head cannot read what ``global_pool`` names.

    Shapes:
        image (b, in_chans, H, W) -> logits (b, num_classes)
    """

    def __init__(
        self,
        stem: Embedding,
        position: FeatureOp,
        prefix_tokens: int,
        blocks: list[Block],
        norm: nn.Module,
        in_chans: int,
        width: int,
        num_classes: int,
        global_pool: Literal["token", "avg", ""],
        drop_rate: float,
    ) -> None:
        super().__init__(in_chans, width, drop_rate)
        self.prefix = nn.Parameter(torch.zeros(1, prefix_tokens, width)) if prefix_tokens else None
        self.stem = stem
        self.position = position
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.attach_head(num_classes, global_pool)
        self.feature_info = [
            {"module": f"blocks.{i}", "num_chs": width, "reduction": stem.reduction} for i in range(len(blocks))
        ]

    @property
    def num_prefix_tokens(self) -> int:
        """Class tokens beside the grid."""
        return 0 if self.prefix is None else self.prefix.shape[1]

    @property
    def output_fmt(self) -> Literal["NLC"]:
        """The form of ``forward_features``, as timm names it: one sequence."""
        return "NLC"

    @property
    def pools(self) -> tuple[str, ...]:
        """What the head can read; without prefix tokens there is no class token."""
        return ("avg", "") if self.prefix is None else ("token", "avg", "")

    def reset_parameters(self) -> None:
        """Draw the class token."""
        if self.prefix is not None:
            nn.init.trunc_normal_(self.prefix, std=0.02)

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters without weight decay: positions and tokens."""
        return super().no_weight_decay() | ({"prefix"} if self.prefix is not None else set())

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (timm's signature)
        """Return regular expressions that tell timm the depth of each parameter."""
        return {"stem": r"^prefix|^position|^stem", "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))]}

    def embed(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return grid (b, h, w, width) and prefix (b, p, width) with their positions."""
        grid = self.stem(image)
        if self.prefix is None:
            return grid + self.position(grid), None
        prefix: Tensor = value_of(self.prefix)
        places, prefix_places = self.position.forward_prefixed(grid, prefix)
        if prefix_places is not None:
            prefix = prefix + prefix_places
        return grid + places, prefix.expand(grid.shape[0], -1, -1)

    def apply_block(self, block: nn.Module, grid: Tensor, prefix: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Apply a block, recomputing its activations in the backward pass if gradient checkpointing is on."""
        if self.grad_checkpointing and self.training:
            return recompute(block, grid, prefix)
        return block(grid, prefix)

    def walk(self, image: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield grid (b, h, w, width) and prefix (b, p, width) before the first block and after each block."""
        grid, prefix = self.embed(image)
        yield grid, prefix
        for block in self.blocks:
            grid, prefix = self.apply_block(block, grid, prefix)
            yield grid, prefix

    def pool(self, tokens: Tensor) -> Tensor:
        """Reduce tokens (b, t, width) to what the head reads."""
        if self.global_pool == "token":
            return tokens[:, 0]
        if self.global_pool == "avg":
            return tokens[:, self.num_prefix_tokens :].mean(dim=1)
        return tokens

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds of matrix products and convolutions for an image of h x w pixels."""
        rows, columns = self.stem.map_size(h, w)
        blocks = sum(block.macs(rows, columns, self.num_prefix_tokens) for block in self.blocks)  # type: ignore[operator]
        return self.stem.macs(rows, columns) + blocks + self.head_macs()


def column(
    num_classes: int = 1000,
    in_chans: int = 3,
    img_size: int | tuple[int, int] = 224,
    width: int = 192,
    depth: int = 12,
    stem: Callable[[int, int], Embedding] = PATCHES,
    position: Callable[[int, tuple[int, int], int], FeatureOp] = POSITION,
    prefix_tokens: int = 1,
    stage1: BlockSpec = NO_BRANCH,
    stage2: BlockSpec = NO_BRANCH,
    stage3: BlockSpec = NO_BRANCH,
    norm: NormFactory = LAYER_NORM,
    global_pool: Literal["token", "avg", ""] = "token",
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> Column:
    """Build an isotropic vision transformer from the data of its parts.

    Args:
        num_classes: Classes; 0 for no head.
        in_chans: Channels of the image.
        img_size: Height and width in pixels that the position table is made for; other sizes interpolate it.
        width: Channels of the tokens.
        depth: Number of blocks.
        stem: Makes the grid from the image, for (in_chans, width).
        position: Makes the absolute position, for (width, grid_size, prefix_tokens).
        prefix_tokens: Class tokens beside the grid.
        stage1: The blocks of the first third of the layers (low).
        stage2: The blocks of the second third (mid).
        stage3: The blocks of the last third (high).
        norm: Makes the normalisation before the head, for (width).
        global_pool: What the head reads: the class token, the average of the grid, or all tokens ("").
        drop_rate: Dropout before the head.
        drop_path_rate: Stochastic depth rate of the last block; it rises linearly from 0.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    seed = draw_seed()
    specs = [build_block(stage) for stage in (stage1, stage2, stage3)]
    rates = torch.linspace(0, drop_path_rate, depth, device="cpu").tolist()
    stem_module = build_part(stem)(in_chans, width)
    h, w = (img_size, img_size) if isinstance(img_size, int) else img_size
    grid_size = stem_module.map_size(h, w)
    if min(grid_size) < 1:
        raise ValueError(
            "column: img_size must hold at least one patch, "
            f"got img_size={img_size}, patch_size={stem_module.reduction}."
        )
    model = Column(
        stem=stem_module,
        position=build_part(position)(width, grid_size, prefix_tokens),
        prefix_tokens=prefix_tokens,
        blocks=[Block(specs[third(i, depth)], width, rate) for i, rate in enumerate(rates)],
        norm=build_norm(build_part(norm), width),
        in_chans=in_chans,
        width=width,
        num_classes=num_classes,
        global_pool=global_pool,
        drop_rate=drop_rate,
    )
    initialise(model, seed, vision_transformer_weights)
    return model


def third(index: int, depth: int) -> int:
    """Return which third of ``depth`` layers the layer ``index`` lies in: 0, 1 or 2; the first thirds take the remainder."""
    size, left_over = divmod(depth, 3)
    low = size + (left_over > 0)
    mid = size + (left_over > 1)
    return (index >= low) + (index >= low + mid)

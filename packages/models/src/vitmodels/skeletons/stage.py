"""A stage of a pyramid, with one width and one resolution: downsampling, positions, blocks, norm."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vitcore import Embedding, FeatureOp, NormFactory, Nothing, OverlapPatchMerging
from vitcore.norm import build_norm, normalise
from vitcore.op import value_of
from vitmodels.skeletons.block import Block
from vitmodels.skeletons.parts import SLOTS, BlockSpec, Branch, build_branch, build_part, entries_of
from vitmodels.skeletons.recompute import recompute


class NoAbsolutePosition(Nothing):
    """The absolute position of a stage that has none.

    Args:
        width: Channels of the grid.
        grid_size: Rows and columns that the model is made for.
        prefix_tokens: Tokens beside the grid.

    Shapes:
        grid (b, h, w, width) -> zeros of the same shape
    """

    def __init__(self, width: int, grid_size: tuple[int, int], prefix_tokens: int) -> None:
        super().__init__(width)


@dataclass
class Alternate:
    """What every second block of a stage holds instead of the stage's own slots; None for the same.

    Args:
        position: A conditional position.
        mixer: What mixes tokens by where they are.
        content_mixer: A second mixer, which mixes tokens by what they hold.
        feed_forward: What mixes channels.
    """

    position: Branch | None = None
    mixer: Branch | None = None
    content_mixer: Branch | None = None
    feed_forward: Branch | None = None


@dataclass
class StageSpec(BlockSpec):
    """A stage: the slots of its blocks, and what comes before and after the blocks.

    Args:
        width: Channels of the tokens.
        depth: Number of blocks.
        downsample: Makes the grid, for (in_width, width): from the image in the first stage, from the finer grid in the others.
        absolute_position: Makes what is added to grid and prefix, for (width, grid_size, prefix_tokens).
        prefix_tokens: Class tokens beside the grid of this stage.
        alternate: What the second, fourth, ... block holds instead.
        norm: Makes the normalisation after the last block, for (width).
    """

    width: int = 64
    depth: int = 2
    downsample: Callable[[int, int], Embedding] = OverlapPatchMerging
    absolute_position: Callable[[int, tuple[int, int], int], FeatureOp] = NoAbsolutePosition
    prefix_tokens: int = 0
    alternate: Alternate = field(default_factory=Alternate)
    norm: NormFactory = nn.Identity


def build_stage(data: StageSpec | Mapping[str, Any]) -> tuple[StageSpec, BlockSpec]:
    """Turn a stage's data into a StageSpec whose slots hold factories, and the BlockSpec of every second block.

    Raises:
        ValueError: An entry is misspelt or describes no part, or an import path leads nowhere.
    """
    entries: dict[str, Any] = entries_of(data, StageSpec)
    other = entries_of(entries.pop("alternate", {}), Alternate)
    branches: dict[str, Any] = {slot: build_branch(entries.pop(slot)) for slot in SLOTS if slot in entries}
    instead: dict[str, Any] = {slot: build_branch(branch) for slot, branch in other.items() if branch is not None}
    for name in ("downsample", "absolute_position", "norm"):
        if name in entries:
            entries[name] = build_part(entries[name])
    return StageSpec(**branches, **entries), BlockSpec(**branches | instead)


class Stage(nn.Module):
    """Downsampling, positions, prefix tokens, blocks and norm.

    Args:
        spec: The stage, its slots built.
        other: The block of every second layer.
        in_width: Channels of the image or of the finer grid.
        size: Rows and columns of the input, for which tables of positions are made.
        drop_path_rates: Stochastic depth rate of each block.

    Attributes:
        size: Rows and columns of the grid for which tables of positions are made.

    Shapes:
        image (b, in_width, H, W) or grid (b, H, W, in_width) -> grid (b, h, w, width), prefix (b, p, width) or None
    """

    def __init__(
        self, spec: StageSpec, other: BlockSpec, in_width: int, size: tuple[int, int], drop_path_rates: list[float]
    ) -> None:
        super().__init__()
        self.width, self.grad_checkpointing = spec.width, False
        self.downsample = spec.downsample(in_width, spec.width)
        self.size = self.downsample.map_size(*size)
        position = spec.absolute_position(spec.width, self.size, spec.prefix_tokens)
        self.position = None if isinstance(position, Nothing) else position
        self.prefix = nn.Parameter(torch.zeros(1, spec.prefix_tokens, spec.width)) if spec.prefix_tokens else None
        self.blocks = nn.ModuleList(
            Block(other if index % 2 else spec, spec.width, rate) for index, rate in enumerate(drop_path_rates)
        )
        self.norm = build_norm(spec.norm, spec.width)

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """Names of the parameters without weight decay: the class token."""
        return () if self.prefix is None else ("prefix",)

    def reset_parameters(self) -> None:
        """Draw the class token."""
        if self.prefix is not None:
            nn.init.trunc_normal_(self.prefix, std=0.02)

    def drop_prefix(self) -> None:
        """Remove the class tokens, and their rows from the table of positions if it has some."""
        if self.prefix is not None:
            self.prefix = None
            if hasattr(self.position, "drop_prefix"):
                self.position.drop_prefix()  # type: ignore[operator, union-attr]

    def forward(self, finer: Tensor, finer_prefix: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the stage's grid and prefix; the prefix of the stage before is not used."""
        grid, prefix = self.embed(self.downsample(finer))
        return self.apply_blocks(grid, prefix)

    def apply_blocks(self, grid: Tensor, prefix: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Apply blocks and norm to grid and prefix."""
        kept = not (self.grad_checkpointing and self.training)
        for block in self.blocks:
            grid, prefix = block(grid, prefix) if kept else recompute(block, grid, prefix)
        return normalise(self.norm, grid), None if prefix is None else normalise(self.norm, prefix)

    def embed(self, grid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Add positions to grid and prefix."""
        if self.prefix is None:
            return (grid if self.position is None else grid + self.position(grid)), None
        prefix: Tensor = value_of(self.prefix)
        if self.position is not None:
            places, prefix_places = self.position.forward_prefixed(grid, prefix)
            grid = grid + places
            prefix = prefix if prefix_places is None else prefix + prefix_places
        return grid, prefix.expand(grid.shape[0], -1, -1)

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds of the stage for a grid of h x w tokens."""
        prefix = 0 if self.prefix is None else self.prefix.shape[1]
        return self.downsample.macs(h, w) + sum(block.macs(h, w, prefix) for block in self.blocks)  # type: ignore[operator]


AnyStage = TypeVar("AnyStage", bound=Stage)


def build_stages(
    data: Sequence[StageSpec | Mapping[str, Any]],
    kind: type[AnyStage],
    in_chans: int,
    img_size: int | tuple[int, int],
    drop_path_rate: float,
) -> list[AnyStage]:
    """Build stages of a ``kind``, one after the other; the stochastic depth rate rises linearly over all their blocks.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    specs = [build_stage(stage) for stage in data]
    rates = torch.linspace(0, drop_path_rate, sum(spec.depth for spec, _ in specs), device="cpu").tolist()
    size = (img_size, img_size) if isinstance(img_size, int) else img_size
    width, first = in_chans, 0
    stages: list[AnyStage] = []
    for number, (spec, other) in enumerate(specs, 1):
        stage = kind(spec, other, width, size, rates[first : first + spec.depth])
        if min(stage.size) < 1:
            raise ValueError(f"img_size must leave each stage at least one token, got {img_size=}, stage{number}.")
        stages.append(stage)
        width, size, first = spec.width, stage.size, first + spec.depth
    return stages

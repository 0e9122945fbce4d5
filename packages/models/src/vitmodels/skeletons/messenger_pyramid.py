"""The hierarchical skeleton whose windows have messenger tokens, which travel through the network beside the map.

After the patch embedding each window gets one messenger, and all of them start from one learned vector. Patch merging also merges
messengers, with the same weights. Maps that windows or merging do not divide evenly are padded, and so are their messengers:
ceil(ceil(h / 7) / 2) = ceil(ceil(h / 2) / 7), so that there is always one messenger for each window.
"""

from typing import Any, Literal

from timm.models import register_notrace_module
from torch import Tensor

from vitcore import MessengerAttention, NormFactory
from vitcore.attention.windows.geometry import count_windows, fit_window
from vitcore.norm import build_norm, normalise
from vitmodels.skeletons.initial import draw_seed, initialise, vision_transformer_weights
from vitmodels.skeletons.parts import build_part, part
from vitmodels.skeletons.pyramid import NO_STAGE, Pyramid
from vitmodels.skeletons.stage import Stage, StageSpec, build_stages

LAYER_NORM: Any = part("torch.nn.LayerNorm", eps=1e-5)
WINDOW = 7
"""Side of the windows if no op of the stage attends with messengers."""


def window_counts(grid: Tensor, window: int) -> tuple[int, int]:
    """Return how many windows lie below and beside each other on a map."""
    h, w = grid.shape[1:3]
    return count_windows(h, w, fit_window(h, w, window))


class MessengerStage(Stage):
    """A stage that merges the previous stage's messengers as it merges patches; arguments and shapes as for ``Stage``.

    All stages have windows of one side, that of their attention.
    """

    @property
    def window(self) -> int:
        """Side of the windows of the stage's attention; ``WINDOW`` if nothing in it attends with messengers."""
        return next((op.window for op in self.modules() if isinstance(op, MessengerAttention)), WINDOW)

    def forward(self, finer: Tensor, finer_prefix: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the stage's grid and messengers, one for each window in raster order."""
        grid, born = self.embed(self.downsample(finer))
        if finer_prefix is None:
            rows, columns = window_counts(grid, self.window)
            messengers = None if born is None else born.expand(-1, rows * columns, -1)
        else:
            finer_map = finer_prefix.unflatten(1, window_counts(finer, self.window))
            messengers = self.downsample(finer_map).flatten(1, 2)
        return self.apply_blocks(grid, messengers)

    def macs(self, h: int, w: int) -> int:
        """Multiply-adds of the stage for a grid of h x w tokens, with its messengers, which every stage but the first merges."""
        rows, columns = count_windows(h, w, fit_window(h, w, self.window))
        merged = self.downsample.macs(rows, columns) if self.prefix is None else 0
        blocks = sum(block.macs(h, w, rows * columns) for block in self.blocks)  # type: ignore[operator]
        return self.downsample.macs(h, w) + merged + blocks


register_notrace_module(MessengerStage)  # torch.fx cannot trace decisions that depend on shapes


class MessengerPyramid(Pyramid):
    """A pyramid of messenger stages; the head does not read the messengers of the last stage. Arguments as for ``Pyramid``."""

    @property
    def num_prefix_tokens(self) -> int:
        """The head reads no prefix tokens."""
        return 0

    def drop_class_tokens(self) -> None:
        """Do nothing: messengers carry what windows exchange, and there is no class token."""

    def finish(self, grid: Tensor, prefix: Tensor | None) -> Tensor:
        """Apply the final norm to the map of the last stage."""
        return normalise(self.norm, grid)


def messenger_pyramid(
    num_classes: int = 1000,
    in_chans: int = 3,
    img_size: int | tuple[int, int] = 224,
    stage1: StageSpec = NO_STAGE,
    stage2: StageSpec = NO_STAGE,
    stage3: StageSpec = NO_STAGE,
    stage4: StageSpec = NO_STAGE,
    norm: NormFactory = LAYER_NORM,
    global_pool: Literal["avg", ""] = "avg",
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> MessengerPyramid:
    """Build a hierarchical vision transformer with messengers from the data of its parts.

    Args:
        num_classes: Classes; 0 for no head.
        in_chans: Channels of the image.
        img_size: Height and width in pixels that tables of absolute positions are made for; other sizes interpolate them.
        stage1: The finest stage; its one prefix token is the vector that all messengers start from.
        stage2: The second stage.
        stage3: The third stage.
        stage4: The coarsest stage, which the head reads.
        norm: Makes the normalisation before the head, for (width).
        global_pool: What the head reads: the average of the map, or all its tokens ("").
        drop_rate: Dropout before the head.
        drop_path_rate: Stochastic depth rate of the last block; it rises linearly from 0.

    Raises:
        ValueError: A part cannot be built with these sizes.
    """
    seed = draw_seed()
    stages: list[Any] = build_stages(
        (stage1, stage2, stage3, stage4), MessengerStage, in_chans, img_size, drop_path_rate
    )
    final_norm = build_norm(build_part(norm), stages[-1].width)
    model = MessengerPyramid(stages, final_norm, in_chans, num_classes, global_pool, drop_rate)
    initialise(model, seed, vision_transformer_weights)
    return model

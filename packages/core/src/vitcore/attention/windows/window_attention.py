"""Window attention: the map is cut into squares, plain or cyclically shifted, and each attends within itself."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vitcore.attention.windows.attention_in_windows import AttentionInWindows, attend_windows
from vitcore.attention.windows.geometry import (
    fit_window,
    region_map,
    same_region,
    size_in_windows,
    window_merge,
    window_partition,
)
from vitcore.position.relative_position_bias import RelativePositionBias
from vitcore.position.window_position import WindowPositionFactory


def window_pairs(
    size: tuple[int, int], window: tuple[int, int], shift: int, device: torch.device
) -> Bool[Tensor, "n 1 t t"] | None:
    """Return which pairs of each window may attend: no token to padding or across the seam of the shift. None if all may."""
    regions = region_map(*size, window, shift, device)
    return None if regions is None else same_region(window_partition(regions, window, shift).squeeze(2))


def fit_shift(h: int, w: int, window: int, shift: int) -> int:
    """Return the shift on a map of h x w tokens: 0 if a window is as long as one of the map's sides."""
    return shift if min(h, w) > window else 0


def window_attention(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    window: int,
    shift: int = 0,
    bias: Float[Tensor, "1 n t t"] | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to the tokens of its window, in n heads.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        window: Side of a window in tokens; the map's side where that is smaller.
        shift: Displacement of the windows; ignored if ``window`` is as long as one of the map's sides.
        bias: Added to the scores of each window; t = min(h, window) * min(w, window).
    """
    size, heads = (q.shape[1], q.shape[2]), q.shape[3]
    sides, shift = fit_window(*size, window), fit_shift(*size, window, shift)
    q, k, v = (window_partition(part.flatten(3), sides, shift).unflatten(2, (heads, -1)) for part in (q, k, v))
    tokens = attend_windows(q, k, v, bias, window_pairs(size, sides, shift, q.device))
    return window_merge(tokens, size, sides, shift).unflatten(3, (heads, -1))


class WindowAttention(AttentionInWindows):
    """Each token attends to the tokens of its window.

    Without a shift the windows are the squares of a lattice that starts in the top left corner. With a shift s the lattice
    starts s rows and columns further in: rows fall into bands 0..s-1, s..s+window-1, s+window..s+2*window-1, ..., columns
    likewise, and a token sees the tokens of its band of rows and band of columns.

    A side of the map that is shorter than ``window`` bounds the window on that side, so that a map that fits into one window
    is attended to globally. If a side is not longer than ``window``, nothing is shifted. Blocks of a network alternate between
    shift 0 and shift window // 2.

    Args:
        width: Channels of the grid.
        window: Side of a window in tokens.
        shift: Rows and columns by which the lattice is displaced, less than ``window``.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        position: Makes what is added to the scores, from (window, heads): ``RelativePositionBias``,
            ``ContinuousPositionBias``, ``AbsolutePositionBias`` or ``NoPosition``.
        bias: Which linear maps have a bias: ``all``, or only the ``projection`` of the output.
        padding: How a map that windows do not fill is padded, below and to the right. ``masked``: no token attends to the
            padding. ``seen``: zeros that take part like all other tokens; no window is then smaller than ``window`` and every
            shift applies, as in the public code of Swin for segmentation and detection.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: T * (4 * width**2 + 2 * t * width) multiply-adds, t tokens in a window, T tokens in all windows, padding included;
    and those of ``position``.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, ``window`` is less than 1, or ``shift`` is not in 0..window-1.

    Source: Liu et al., Swin Transformer, ICCV 2021, section 3.2 and Eq. 4. Differs from the public code in three points. Pairs
    of different bands are excluded, where the public code subtracts 100 from their scores: that leaves them a weight of 4e-44
    at equal scores, nothing in float64 unless their scores exceed the others by tens. A map that windows do not fill is padded
    and no token attends to the padding; the public classification code refuses it, and ``padding="seen"`` is the rule of the
    public code for segmentation and detection. Where one side of a map is shorter than ``window`` and the other longer than that
    side, the public code makes square windows of the shorter side; here the other side keeps ``window``, or the map's length.
    """

    def __init__(
        self,
        width: int,
        window: int = 7,
        shift: int = 0,
        head_dim: int = 32,
        position: WindowPositionFactory = RelativePositionBias,
        bias: Literal["all", "projection"] = "all",
        padding: Literal["masked", "seen"] = "masked",
    ) -> None:
        super().__init__(width, window, head_dim, position, bias)
        if not 0 <= shift < window:
            raise ValueError(f"WindowAttention: shift must lie in 0..window-1, got window={window}, shift={shift}.")
        self.shift, self.padding = shift, padding

    def window_on(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of a window on a map of h x w tokens."""
        return (self.window, self.window) if self.padding == "seen" else super().window_on(h, w)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend inside each window."""
        # Cutting the map before the projections moves a third of what cutting q, k and v would move.
        size = (grid.shape[1], grid.shape[2])
        window, seen = self.window_on(*size), self.padding == "seen"
        shift = self.shift if seen else fit_shift(*size, self.window, self.shift)
        pairs = window_pairs(size_in_windows(*size, window) if seen else size, window, shift, grid.device)
        tokens = self.attend(window_partition(grid, window, shift), self.position(*window), pairs)
        return window_merge(tokens, size, window, shift)

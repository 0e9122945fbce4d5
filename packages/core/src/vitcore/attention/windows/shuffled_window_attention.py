"""Shuffled windows: a window's tokens are spread over the whole map, so that window attention reaches far."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from vitcore.attention.windows.attention_in_windows import AttentionInWindows, attend_windows
from vitcore.attention.windows.geometry import count_windows, fit_window, pad_to_windows, region_map, same_region
from vitcore.position.relative_position_bias import RelativePositionBias
from vitcore.position.window_position import WindowPositionFactory


def shuffle_partition(grid: Num[Tensor, "b h w c"], window: tuple[int, int]) -> Num[Tensor, "bn t c"]:
    """Gather windows whose tokens lie n apart, n being the number of windows: rows i, i + n, i + 2n, ..., and likewise columns.

    Args:
        grid: The map; zeros are appended below and to the right until windows fill it.
        window: Rows and columns of a window.

    Returns:
        (b * n, t, c): window (i, j) starts at token (i, j), windows and tokens in raster order. ``shuffle_merge`` undoes it.
    """
    rows, columns = window
    cells = pad_to_windows(grid, window).unflatten(2, (columns, -1)).unflatten(1, (rows, -1))
    return cells.permute(0, 2, 4, 1, 3, 5).flatten(3, 4).flatten(0, 2)


def shuffle_merge(
    windows: Num[Tensor, "bn t c"], size: tuple[int, int], window: tuple[int, int]
) -> Num[Tensor, "b h w c"]:
    """Put windows back where ``shuffle_partition`` took them from, and crop the padding.

    Args:
        windows: The windows of every image.
        size: Rows and columns of the map.
        window: Rows and columns of a window.
    """
    h, w = size
    cells = windows.unflatten(1, window).unflatten(0, (-1, *count_windows(h, w, window)))
    return cells.permute(0, 3, 1, 4, 2, 5).flatten(3, 4).flatten(1, 2)[:, :h, :w]


def shuffle_pairs(
    size: tuple[int, int], window: tuple[int, int], device: torch.device
) -> Bool[Tensor, "n 1 t t"] | None:
    """Return which pairs of each window may attend: no token to padding. None if there is no padding."""
    regions = region_map(*size, window, 0, device)
    return None if regions is None else same_region(shuffle_partition(regions, window).squeeze(2))


def shuffled_window_attention(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    window: int,
    bias: Float[Tensor, "1 n t t"] | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to the tokens of its shuffled window, in n heads.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        window: Side of a window in tokens; the map's side where that is smaller.
        bias: Added to the scores of each window; t = min(h, window) * min(w, window).
    """
    size, heads = (q.shape[1], q.shape[2]), q.shape[3]
    sides = fit_window(*size, window)
    q, k, v = (shuffle_partition(part.flatten(3), sides).unflatten(2, (heads, -1)) for part in (q, k, v))
    tokens = attend_windows(q, k, v, bias, shuffle_pairs(size, sides, q.device))
    return shuffle_merge(tokens, size, sides).unflatten(3, (heads, -1))


class ShuffledWindowAttention(AttentionInWindows):
    """Each token attends to the tokens whose row and column distances are multiples of the number of windows.

    With n = ceil(h / window) windows below and m = ceil(w / window) beside each other, the token at (i, j) sees the tokens at
    (i + a * n, j + b * m) for all whole a and b that stay on the map: ``window`` x ``window`` tokens at stride (n, m), or
    fewer where windows do not fill the map. On a map that is as large as a window, or smaller, this is ``WindowAttention``.
    One layer of each connects all tokens of a map of at most window**2 rows and columns that whole windows fill.

    Args:
        width: Channels of the grid.
        window: Side of a window in tokens; the map's side where that is smaller.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        position: Makes what is added to the scores, from (window, heads). Displacements count strides, not tokens.
        bias: Which linear maps have a bias: ``all``, or only the ``projection`` of the output.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: T * (4 * width**2 + 2 * t * width) multiply-adds, t tokens in a window, T tokens in all windows, padding included;
    and those of ``position``.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or ``window`` is less than 1.

    Source: Huang et al., Shuffle Transformer, 2021, section 3 ("spatial shuffle", "spatial alignment"). The public code
    requires windows to fill the map; here it is padded, and no token attends to the padding. The paper's neighbour-window
    connection, a depth-wise convolution after the attention, is a branch of its own.
    """

    def __init__(
        self,
        width: int,
        window: int = 7,
        head_dim: int = 32,
        position: WindowPositionFactory = RelativePositionBias,
        bias: Literal["all", "projection"] = "projection",
    ) -> None:
        super().__init__(width, window, head_dim, position, bias)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend inside each shuffled window."""
        size = (grid.shape[1], grid.shape[2])
        window = fit_window(*size, self.window)
        pairs = shuffle_pairs(size, window, grid.device)
        tokens = self.attend(shuffle_partition(grid, window), self.position(*window), pairs)
        return shuffle_merge(tokens, size, window)

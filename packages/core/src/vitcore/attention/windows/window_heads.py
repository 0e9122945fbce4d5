"""Attention inside groups of tokens: what plain, shuffled and messenger windows have in common."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from vitcore.attention.whole_map.global_attention import (
    count_heads,
    has_no_kernel,
    settle_strides,
    spelled_out_attention,
)
from vitcore.op import FeatureOp
from vitcore.position.window_position import WindowPositionFactory


def fit_window(h: int, w: int, window: int) -> tuple[int, int]:
    """Return the rows and columns of a window on a map of h x w tokens: ``window``, or the map's side where that is smaller."""
    return min(h, window), min(w, window)


def count_windows(h: int, w: int, window: tuple[int, int]) -> tuple[int, int]:
    """Return how many windows lie below and beside each other on a map of h x w tokens, padded ones included."""
    return -(-h // window[0]), -(-w // window[1])


def pad_to_windows(grid: Tensor, window: tuple[int, int]) -> Tensor:
    """Append zero rows and columns until windows fill the map; the map itself where they do already."""
    h, w = grid.shape[1:3]
    down, across = -h % window[0], -w % window[1]
    return pad(grid, (0, 0, 0, across, 0, down)) if down or across else grid


def region_map(
    h: int, w: int, window: tuple[int, int], shift: int, device: torch.device
) -> Int[Tensor, "1 H W 1"] | None:
    """Number the regions of the padded map that must not attend to each other; None if there is but one.

    Padding is apart from tokens (whose region is 0), and so are the first ``shift`` rows and columns, which a cyclic shift brings
    next to the last ones.
    """
    padded = tuple(n * side for n, side in zip(count_windows(h, w, window), window, strict=True))
    if padded == (h, w) and not shift:
        return None
    rows, columns = (torch.arange(side, device=device) for side in padded)
    rows, columns = 2 * (rows >= h) + 1 * (rows < shift), 2 * (columns >= w) + 1 * (columns < shift)
    return (3 * rows[:, None] + columns)[None, :, :, None]


def same_region(regions: Int[Tensor, "n t"]) -> Bool[Tensor, "n 1 t t"]:
    """Return which pairs of tokens of each window lie in one region."""
    return regions[:, None, :, None] == regions[:, None, None, :]


def attend_windows(
    q: Float[Tensor, "bn t heads d"],
    k: Float[Tensor, "bn s heads d"],
    v: Float[Tensor, "bn s heads d"],
    bias: Float[Tensor, "_ heads t s"] | None = None,
    allowed: Bool[Tensor, "n 1 t s"] | None = None,
) -> Float[Tensor, "bn t c"]:
    """Attend inside each window.

    Args:
        q: Queries, the windows of an image one after the other.
        k: Keys.
        v: Values.
        bias: Added to the scores q @ k * d ** -0.5 of every window, (1, heads, t, s); or None.
        allowed: Which pairs may attend, for each of the n windows of an image; or None for all. Each query needs a key.

    Returns:
        The heads side by side, (b * n, t, heads * d).
    """
    if bias is not None and has_no_kernel(q, bias):
        barred = None if allowed is None else torch.zeros_like(allowed, dtype=q.dtype).masked_fill(~allowed, -torch.inf)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        return spelled_out_attention(q, k, v, bias, barred).transpose(1, 2).flatten(2)
    # With the windows beside the heads one mask serves every image; beside the images it would be copied b times.
    n, heads = 1 if allowed is None else allowed.shape[0], q.shape[2]
    q, k, v = (part.unflatten(0, (-1, n)).transpose(2, 3).flatten(1, 2) for part in (q, k, v))
    if allowed is not None:
        mask = allowed.expand(-1, heads, -1, -1) if bias is None else bias.masked_fill(~allowed, -torch.inf)
        bias = mask.flatten(0, 1).unsqueeze(0)
    mixed = settle_strides(scaled_dot_product_attention(q, k, v, attn_mask=bias))
    return mixed.unflatten(1, (n, heads)).transpose(2, 3).flatten(3).flatten(0, 1)


class WindowedAttention(FeatureOp):
    """Multi-head attention inside groups of rows x columns tokens; a subclass says which tokens form a group.

    Args:
        width: Channels of the grid.
        window: Side of a group in tokens.
        head_dim: Channels per head; must divide ``width``.
        position: Makes what is added to the scores, from (window, heads).
        bias: Which linear maps have a bias: ``all``, or only the ``projection`` of the output.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or ``window`` is less than 1.
    """

    def __init__(
        self,
        width: int,
        window: int,
        head_dim: int,
        position: WindowPositionFactory,
        bias: Literal["all", "projection"],
    ) -> None:
        super().__init__()
        heads = count_heads(type(self).__name__, width, head_dim)
        if window < 1:
            raise ValueError(f"{type(self).__name__}: window must be at least 1, got window={window}.")
        self.width, self.window, self.head_dim = width, window, head_dim
        self.qkv = nn.Linear(width, 3 * width, bias=bias == "all")
        self.projection = nn.Linear(width, width)
        self.position = position(window, heads)

    def project(self, tokens: Float[Tensor, "bn t c"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (b * n, t, heads, head_dim); the joint map is ordered [q | k | v][head][channel]."""
        q, k, v = self.qkv(tokens).unflatten(2, (3, -1, self.head_dim)).unbind(2)
        return q, k, v

    def attend(
        self,
        tokens: Float[Tensor, "bn t c"],
        bias: Float[Tensor, "1 heads t t"] | None,
        allowed: Bool[Tensor, "n 1 t t"] | None,
    ) -> Float[Tensor, "bn t c"]:
        """Project, attend inside each group as ``attend_windows`` does, project."""
        return self.projection(attend_windows(*self.project(tokens), bias, allowed))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Projections and the two products with the attention matrix, of the padded map; and the position's own."""
        rows, columns = window = fit_window(h, w, self.window)
        down, across = count_windows(h, w, window)
        t, n = rows * columns, down * across
        return n * t * (4 * self.width**2 + 2 * t * self.width) + self.position.macs(rows, columns)

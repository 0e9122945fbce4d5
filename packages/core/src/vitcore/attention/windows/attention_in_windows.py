"""Attention inside windows: what plain, shuffled and messenger windows have in common."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitcore.attention.dot_product_attention import copy_for_export, is_faster_spelled_out, spelled_out_attention
from vitcore.attention.heads import count_heads
from vitcore.attention.windows.geometry import count_windows, fit_window
from vitcore.op import FeatureOp
from vitcore.position.window_position import WindowPositionFactory


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
    if bias is not None and is_faster_spelled_out(q, bias):
        barred = None if allowed is None else torch.zeros_like(allowed, dtype=q.dtype).masked_fill(~allowed, -torch.inf)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        return spelled_out_attention(q, k, v, bias, barred).transpose(1, 2).flatten(2)
    # Windows are put next to heads so that one mask serves every image; next to images it would be copied b times.
    n, heads = 1 if allowed is None else allowed.shape[0], q.shape[2]
    q, k, v = (part.unflatten(0, (-1, n)).transpose(2, 3).flatten(1, 2) for part in (q, k, v))
    if allowed is not None:
        mask = allowed.expand(-1, heads, -1, -1) if bias is None else bias.masked_fill(~allowed, -torch.inf)
        bias = mask.flatten(0, 1).unsqueeze(0)
    mixed = copy_for_export(scaled_dot_product_attention(q, k, v, attn_mask=bias))
    return mixed.unflatten(1, (n, heads)).transpose(2, 3).flatten(3).flatten(0, 1)


class AttentionInWindows(FeatureOp):
    """Multi-head attention inside windows of rows x columns tokens; a subclass says which tokens form a window.

    Args:
        width: Channels of the grid.
        window: Side of a window in tokens.
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
        """Project, attend inside each window as ``attend_windows`` does, and project again."""
        return self.projection(attend_windows(*self.project(tokens), bias, allowed))

    def window_on(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of a window on a map of h x w tokens."""
        return fit_window(h, w, self.window)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and both products with the attention matrix, on the padded map, and the position."""
        rows, columns = window = self.window_on(h, w)
        down, across = count_windows(h, w, window)
        t, n = rows * columns, down * across
        return n * t * (4 * self.width**2 + 2 * t * self.width) + self.position.macs(rows, columns)

"""Slide attention: each token attends to its neighbourhood, whose keys and values are shifted and, if wanted, deformed maps."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vitcore.attention.heads import count_heads, require_one_shape
from vitcore.attention.neighborhood.deformed_shift import DeformedShift
from vitcore.attention.neighborhood.shifted_products import (
    flatten_keys,
    flatten_queries,
    shift_starts,
    shifted_mixture,
    shifted_scores,
    unflatten_queries,
)
from vitcore.convolution import same_padding
from vitcore.op import FeatureOp


def slide_attention(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    kernel_size: int = 3,
    shift_weight: Float[Tensor, "do 1 k k"] | None = None,
    shift_bias: Float[Tensor, "do"] | None = None,
    key_bias: Float[Tensor, "n o"] | None = None,
    score_bias: Float[Tensor, "n o"] | None = None,
    borders: Literal["zero", "masked"] = "zero",
    scale: float | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to the o = kernel_size**2 places around it.

    The key at place o is the map of keys convolved with filter o of each channel, and so is the value; none of these maps is
    formed. The function can be differentiated once, not twice.

    Args:
        q: Queries of n heads; fastest in the memory layout of a contiguous (b, n, d, h, w).
        k: Keys.
        v: Values.
        kernel_size: Side of the neighbourhood in tokens; odd.
        shift_weight: Depth-wise filters shared by all heads, output channel c * o + place; None for ``one_hot_shifts``.
        shift_bias: Added to keys and values, ordered as the filters.
        key_bias: Added to every channel of the key at a place.
        score_bias: Added to the scaled score of a place.
        borders: Places outside the map take part as if zeros surrounded the map (``zero``), or not at all (``masked``).
        scale: Factor on q * k; d ** -0.5 if it is None.

    Raises:
        ValueError: ``kernel_size`` is even, or keys and queries differ in size.
    """
    same_padding("slide_attention", kernel_size)
    require_one_shape("slide_attention", q, k, v)
    b, h, w, n, d = q.shape
    places, starts = kernel_size**2, shift_starts(kernel_size, w)
    scale = d**-0.5 if scale is None else scale
    queries, keys, values = flatten_queries(q, kernel_size), flatten_keys(k, kernel_size), flatten_keys(v, kernel_size)
    kernel = None
    if shift_weight is not None:
        kernel = shift_weight.to(q.dtype).view(d, places, places).permute(2, 0, 1).contiguous()

    scores = shifted_scores(queries, keys, starts, kernel)
    if shift_bias is None and key_bias is None:
        scores = scores * scale
    else:
        added = q.new_zeros(n, places, d)
        if shift_bias is not None:
            added = added + shift_bias.view(d, places).T
        if key_bias is not None:
            added = added + key_bias[:, :, None]
        added = added.expand(b, -1, -1, -1).flatten(0, 1)
        scores = torch.baddbmm(scores, added.to(q.dtype), queries, beta=scale, alpha=scale)
    if score_bias is not None:
        scores = (scores.unflatten(0, (-1, n)) + score_bias[:, :, None]).flatten(0, 1)
    if borders == "masked":
        scores = scores.masked_fill(_outside(h, w, kernel_size, q.device), -torch.inf)
    weights = scores.softmax(1).to(v.dtype)

    mixed = shifted_mixture(weights, values, starts, kernel)
    if shift_bias is not None:
        value_bias = shift_bias.to(v.dtype).view(d, places).expand(b * n, -1, -1)
        mixed = torch.baddbmm(mixed, value_bias, weights)
    return unflatten_queries(mixed, h, w, n)


def _outside(h: int, w: int, kernel_size: int, device: torch.device) -> Bool[Tensor, "o t"]:
    """Return which places lie outside the map, for each flat query; the entries between rows are not queries and have none."""
    reach = kernel_size // 2
    shifts = torch.arange(-reach, reach + 1, device=device)[:, None]
    rows, columns = torch.arange(h, device=device) + shifts, torch.arange(w + reach, device=device) + shifts
    above_or_below = (rows < 0) | (rows >= h)
    beside = ((columns < 0) | (columns >= w)) & (columns - shifts < w)
    return (above_or_below[:, None, :, None] | beside[None, :, None, :]).flatten(2).flatten(0, 1)


class SlideAttention(FeatureOp):
    """Each token attends to the kernel_size x kernel_size tokens around it, itself included.

    ``fixed``: the key at place o is the key of the token there, which makes it local attention. ``learned``: it is a learned
    combination, channel by channel, of all keys around the query: one k x k filter for each place and each channel of a head,
    the same for all heads, for keys and values. ``both``: the sum of the two. In every form a token sees the same tokens. With
    ``kernel_size=1`` a fixed shift returns the token's own value.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        kernel_size: Side of the neighbourhood in tokens; odd.
        shift: Which shifts are applied to the maps of keys and values.
        position: One learned number for each head and place, added to every channel of the keys (``on_keys``: it enters the
            score times the sum of the query's channels), to the scaled scores (``on_scores``), or ``none``.
        borders: Places outside the map take part as if zeros surrounded the maps of keys and values (``zero``: the biases alone
            give them their score and value), or not at all (``masked``).

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: 4 * h * w * width**2 multiply-adds, and for t = h * (w + k // 2): 2 * k**4 * t * width unless the shift is fixed,
    k**2 * t * width for what is added to the keys (``on_keys``, or unless fixed) and as much for the values (unless fixed), and
    2 * k**2 * t * width elementwise ones.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or ``kernel_size`` is even.

    Source: Pan et al., Slide-Transformer: Hierarchical Vision Transformer with Local Self-Attention, CVPR 2023: feature
    shifting as depth-wise convolution, the deformed shifting module, and its re-parameterisation. ``both``, ``on_keys`` and
    ``zero`` are the public code's, with a bias in either convolution; its joint projection is ordered (head;
    q, k, v; channel), this one (q, k, v; head; channel). Differs only in the arithmetic: no convolution runs, neither in training
    nor after merging (see ``shifted_scores``); the public form costs 2 * k**4 * h * w * width for each of its convolutions.
    """

    no_weight_decay = ("position_bias",)

    def __init__(
        self,
        width: int,
        head_dim: int = 32,
        kernel_size: int = 3,
        shift: Literal["fixed", "learned", "both"] = "both",
        position: Literal["on_keys", "on_scores", "none"] = "on_keys",
        borders: Literal["zero", "masked"] = "zero",
    ) -> None:
        super().__init__()
        heads = count_heads("SlideAttention", width, head_dim)
        same_padding("SlideAttention", kernel_size)
        self.width, self.head_dim, self.kernel_size = width, head_dim, kernel_size
        self.position, self.borders = position, borders
        self.qkv = nn.Linear(width, 3 * width)
        self.shift = DeformedShift(head_dim, kernel_size, shift)
        self.position_bias = None if position == "none" else nn.Parameter(torch.empty(heads, kernel_size**2))
        self.projection = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the position bias from a truncated normal (0.02)."""
        if self.position_bias is not None:
            nn.init.trunc_normal_(self.position_bias, std=0.02)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend to the neighbours."""
        # The matrix product writes q, k and v in the layout that is fast to shift: the rows of the map are innermost.
        weight = self.qkv.weight.expand(grid.shape[0], -1, -1)
        qkv = torch.baddbmm(self.qkv.bias[:, None], weight, grid.flatten(1, 2).mT)
        q, k, v = qkv.unflatten(2, grid.shape[1:3]).unflatten(1, (3, -1, self.head_dim)).permute(1, 0, 4, 5, 2, 3)
        filters, shift_bias = self.shift()
        biases = {self.position: self.position_bias}
        attended = slide_attention(
            q, k, v, self.kernel_size, filters, shift_bias, biases.get("on_keys"), biases.get("on_scores"), self.borders
        )
        return self.projection(attended.flatten(3))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections, the small matrix product of each tap, and the biases of keys and values."""
        places, fixed = self.kernel_size**2, self.shift.kind == "fixed"
        small_products = 0 if fixed else 2 * places + 1
        if not fixed or self.position == "on_keys":
            small_products += 1
        return 4 * h * w * self.width**2 + small_products * places * self._padded(h, w) * self.width

    def elementwise_macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the products with the shifted maps of keys and values."""
        return 2 * self.kernel_size**2 * self._padded(h, w) * self.width

    def _padded(self, h: int, w: int) -> int:
        return h * (w + self.kernel_size // 2)

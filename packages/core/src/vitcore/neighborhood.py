"""Neighbourhood attention: each token attends to the k x k tokens nearest to it, in a window that stays inside the map."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitcore.attention import count_heads
from vitcore.convolution import same_padding
from vitcore.op import FeatureOp

TILE = 8
"""Largest side, in tokens, of a tile of queries that are answered from one set of keys."""


class AxisTiles(NamedTuple):
    """An axis of the map cut into g tiles of t queries, and for each tile the u keys that their windows cover.

    ``queries`` (g, t) and ``keys`` (g, u) are places on the axis, repeated where a tile is not full; ``home`` (size,) says where
    each place is found among the g * t queries. ``seen`` (g, t, u) marks the keys in a query's window, and ``step`` (g, t, u) is
    the way from query to key in multiples of the dilation, within 1 - kernel_size..kernel_size - 1.
    """

    queries: Int[Tensor, "g t"]
    keys: Int[Tensor, "g u"]
    home: Int[Tensor, "s"]
    seen: Bool[Tensor, "g t u"]
    step: Int[Tensor, "g t u"]


def tile_sizes(size: int, kernel_size: int, dilation: int) -> tuple[int, int, int]:
    """Return (tiles in each residue class, queries in a tile, keys of a tile) for an axis of ``size`` places."""
    longest = -(-size // dilation)
    tiles = -(-longest // TILE)
    queries = -(-longest // tiles)
    return tiles, queries, min(queries + kernel_size - 1, longest)


def tile_axis(size: int, kernel_size: int, dilation: int, device: torch.device) -> AxisTiles:
    """Cut an axis into tiles, each inside one of the residue classes modulo ``dilation``.

    The window of a query is kernel_size consecutive places of its class, centred at the query as far as the ends of the class
    permit, or the whole class if that has no more places.
    """
    tiles, t, u = tile_sizes(size, kernel_size, dilation)
    residue = torch.arange(min(dilation, size), device=device)[:, None, None]
    length = (size - residue + dilation - 1) // dilation
    queries = torch.arange(tiles * t, device=device).view(1, tiles, t).minimum(length - 1)
    start = torch.minimum((queries - kernel_size // 2).clamp(min=0), (length - kernel_size).clamp(min=0))
    first = torch.minimum(start[:, :, :1], (length - u).clamp(min=0))
    keys = first + torch.arange(u, device=device)
    place, begin, key = queries[..., None], start[..., None], keys[:, :, None]
    seen = (key >= begin) & (key < begin + kernel_size) & (key < length[..., None])
    where = torch.arange(size, device=device)
    return AxisTiles(
        queries=(residue + dilation * queries).flatten(0, 1),
        keys=(residue + dilation * keys.minimum(length - 1)).flatten(0, 1),
        home=where % dilation * (tiles * t) + where // dilation,
        seen=seen.flatten(0, 1),
        step=(key - place).clamp(1 - kernel_size, kernel_size - 1).flatten(0, 1),
    )


def neighborhood_attention(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    kernel_size: int = 7,
    dilation: int = 1,
    score_bias: Float[Tensor, "n r r"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to the kernel_size x kernel_size window of tokens that is nearest to it.

    Tiles of at most 8 x 8 queries are answered together from the keys that their windows cover, so that keys and values are
    copied (8 + kernel_size - 1)**2 / 8**2 times rather than kernel_size**2 times.

    Args:
        q: Queries of n heads.
        k: Keys.
        v: Values.
        kernel_size: Side of the window in tokens; odd. On an axis that has fewer it is the whole axis.
        dilation: Distance between neighbouring tokens of a window. Tokens see only those of their residue class, row and column
            modulo ``dilation``, which is treated as a map of its own.
        score_bias: Added to the scaled scores, [row step + kernel_size - 1, column step + kernel_size - 1] from query to key,
            r = 2 * kernel_size - 1.
        scale: Factor on q * k; d ** -0.5 if it is None.

    Raises:
        ValueError: ``kernel_size`` is even or ``dilation`` is less than 1.
    """
    _check("neighborhood_attention", kernel_size, dilation)
    h, w, n = q.shape[1:4]
    rows, columns = (tile_axis(size, kernel_size, dilation, q.device) for size in (h, w))
    tiles = rows.queries.shape[0] * columns.queries.shape[0]
    mask, sides = None, (1, 2)
    if score_bias is not None:
        mask = _tile_bias(rows, columns, score_bias).flatten(0, 1)
    elif any(size % dilation or size > kernel_size * dilation for size in (h, w)):
        # Without a bias the heads join the images, so that one mask serves them all.
        mask, sides = _pairs(rows.seen, columns.seen, torch.logical_and), (0, 1)

    def cut(grid: Tensor, places: Tensor) -> Tensor:
        tokens = grid.permute(0, 3, 1, 2, 4).flatten(2, 3).index_select(2, places)
        return tokens.unflatten(2, (tiles, -1)).flatten(*sides)

    queries = _raster(rows.queries, columns.queries, w)
    keys = _raster(rows.keys, columns.keys, w)
    mixed = scaled_dot_product_attention(cut(q, queries), cut(k, keys), cut(v, keys), attn_mask=mask, scale=scale)
    tokens = mixed.unflatten(sides[0], (-1, n if sides == (0, 1) else tiles)).flatten(2, 3)
    return tokens.index_select(2, _home(rows, columns)).unflatten(2, (h, w)).permute(0, 2, 3, 1, 4)

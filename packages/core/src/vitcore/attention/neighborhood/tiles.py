"""Tiles of a map for neighbourhood attention: groups of queries that share the keys that their windows cover."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import pad

TILE = 8
"""Largest side, in tokens, of a tile of queries that share one set of keys."""


class AxisTiles(NamedTuple):
    """An axis of the map cut into g tiles of t queries, and for each tile the u keys that their windows cover.

    ``queries`` (g, t) and ``keys`` (g, u) are places on the axis, repeated where a tile is not full; ``home`` (size,) says
    where each place is found among the g * t queries. ``seen`` (g, t, u) marks the keys in a query's window, and ``step``
    (g, t, u) is the step from query to key in multiples of the dilation, within 1 - kernel_size..kernel_size - 1.
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


def tile_places(rows: Int[Tensor, "g x"], columns: Int[Tensor, "g2 y"], w: int) -> Int[Tensor, "p"]:
    """Return the places on the map, row * w + column, that the tiles hold, tile by tile and in raster order inside each."""
    return (rows[:, None, :, None] * w + columns[:, None]).flatten()


def tile_homes(rows: AxisTiles, columns: AxisTiles) -> tuple[Int[Tensor, "p"], Int[Tensor, "p"]]:
    """Return the tile of each token of the map, and which of its queries the token is: the inverse of ``tile_places``."""
    t, (g2, t2) = rows.queries.shape[1], columns.queries.shape
    row, column = rows.home[:, None], columns.home
    return (row // t * g2 + column // t2).flatten(), (row % t * t2 + column % t2).flatten()


def tile_mask(
    rows: AxisTiles, columns: AxisTiles, heads: int, score_bias: Float[Tensor, "n r r"] | None
) -> Shaped[Tensor, "1 ng t u"]:
    """Return the attention mask of each head's tiles: boolean, or with a bias what is added to the scores."""
    if score_bias is None:
        # [row of tiles, column of tiles, row and column of the query, row and column of the key]
        row, column = (slice(None), None, slice(None), None, slice(None), None), (None, slice(None)) * 3
        seen = rows.seen[row] & columns.seen[column]
        return seen.flatten(4, 5).flatten(2, 3).flatten(0, 1).repeat(heads, 1, 1)[None]
    side = score_bias.shape[1]
    row_step, column_step = ((axis.step + side // 2).masked_fill(~axis.seen, side) for axis in (rows, columns))
    bands = pad(score_bias, (0, 1, 0, 1), value=-torch.inf)[:, :, column_step]
    # Whole rows of keys are copied: on a CPU that is many times faster than looking up single numbers.
    tiles, queries = column_step.shape[:2]
    band = torch.arange(tiles * queries, device=row_step.device).view(tiles, 1, queries, 1)
    where = row_step[:, None, :, None] * (tiles * queries) + band
    biases = bands.flatten(1, 3).index_select(1, where.flatten())
    return biases.view(1, heads * where.shape[:2].numel(), where.shape[2:4].numel(), -1)

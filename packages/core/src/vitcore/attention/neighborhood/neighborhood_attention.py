"""Neighbourhood attention: each token attends to the k x k tokens nearest to it, in a window that stays inside the map."""

import importlib
from types import ModuleType
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vitcore.attention.dot_product_attention import attend_with_bias
from vitcore.attention.heads import count_heads, require_one_shape
from vitcore.attention.neighborhood.tiles import tile_axis, tile_homes, tile_mask, tile_places, tile_sizes
from vitcore.convolution import same_padding
from vitcore.op import FeatureOp


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

    Tiles of at most 8 x 8 queries share the keys that their windows cover, so that keys and values are copied
    (8 + kernel_size - 1)**2 / 8**2 times rather than kernel_size**2 times.

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
        ValueError: ``kernel_size`` is even, ``dilation`` is less than 1, or keys and queries differ in size.
    """
    _require_window("neighborhood_attention", kernel_size, dilation)
    require_one_shape("neighborhood_attention", q, k, v)
    return _attend_in_tiles(torch.stack((q, k, v), dim=3), kernel_size, dilation, score_bias, scale)


def _attend_in_tiles(
    qkv: Float[Tensor, "b h w 3 n d"],
    kernel_size: int,
    dilation: int,
    score_bias: Float[Tensor, "n r r"] | None,
    scale: float | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to its window; tiles are gathered from the joint projection of queries, keys and values."""
    h, w, _, n = qkv.shape[1:5]
    rows, columns = (tile_axis(size, kernel_size, dilation, qkv.device) for size in (h, w))
    tiles = rows.queries.shape[0] * columns.queries.shape[0]
    queries, keys = tile_places(rows.queries, columns.queries, w), tile_places(rows.keys, columns.keys, w)
    vectors, heads = qkv.flatten(1, 4), torch.arange(n, device=qkv.device)

    def gather(part: int, places: Int[Tensor, "p"]) -> Float[Tensor, "b ng t d"]:
        where = (3 * places + part) * n + heads[:, None]  # the vectors are ordered [token][q, k or v][head]
        return vectors.index_select(1, where.flatten()).unflatten(1, (n * tiles, -1))

    q, k, v = gather(0, queries), gather(1, keys), gather(2, keys)
    mask = None
    if score_bias is not None or any(size % dilation or size > kernel_size * dilation for size in (h, w)):
        mask = tile_mask(rows, columns, n, None if score_bias is None else score_bias.to(q.dtype))
    mixed = attend_with_bias(q, k, v, mask, scale)
    # The kernel's result is ordered [query of the tile][head][tile]: nothing is copied before the tokens are gathered again.
    tile, query = tile_homes(rows, columns)
    where = query[:, None] * (n * tiles) + heads * tiles + tile[:, None]
    return mixed.transpose(1, 2).flatten(1, 2).index_select(1, where.flatten()).unflatten(1, (h, w, n))


class NeighborhoodAttention(FeatureOp):
    """Each token attends to the kernel_size x kernel_size tokens nearest to it.

    The window is centred at the token; near a border it is moved back into the map, so that every token has as many keys. On a
    map of at most kernel_size rows and columns this is global attention. With a dilation s each token attends within its
    residue class, every s-th row and column, treated as a map of its own. With ``kernel_size=1`` a token sees only itself.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        kernel_size: Side of the window in tokens; odd. On an axis (of a residue class) with fewer tokens it is the whole axis.
        dilation: Distance between neighbouring tokens of a window.
        position: ``relative``: a learned number for each head and step from query to key is added to the scores; or ``none``.
        backend: ``torch``, or the kernels of the package ``natten``, which support neither a relative position nor residue
            classes that are shorter than the kernel.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: 4 * h * w * width**2 + 2 * g * t * u * width multiply-adds, g tiles of t queries and u keys: per axis (of a residue
    class) of length s, ceil(s / 8) tiles of equal length, which have kernel_size - 1 more keys than queries or all s. (An ideal
    kernel, and the paper's count, has kernel_size**2 keys.)

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, ``kernel_size`` is even, ``dilation`` is less than 1, or ``natten`` is
            asked for a relative position.
        ImportError: ``backend="natten"`` and the package is not installed.

    Source: Hassani et al., Neighborhood Attention Transformer, CVPR 2023, Eqs. 1-4; the dilated form: Hassani and Shi, Dilated
    Neighborhood Attention Transformer, 2022. The public code refuses maps that are smaller than the (dilated) window; here the
    window shrinks to the map.
    """

    no_weight_decay = ("position_bias",)

    def __init__(
        self,
        width: int,
        head_dim: int = 32,
        kernel_size: int = 7,
        dilation: int = 1,
        position: Literal["relative", "none"] = "relative",
        backend: Literal["torch", "natten"] = "torch",
    ) -> None:
        super().__init__()
        heads = count_heads("NeighborhoodAttention", width, head_dim)
        _require_window("NeighborhoodAttention", kernel_size, dilation)
        if backend == "natten":
            if position == "relative":
                raise ValueError(
                    "NeighborhoodAttention: backend='natten' has no relative position, got position='relative'; "
                    "set position='none' or backend='torch'."
                )
            _import_natten()
        self.width, self.head_dim, self.kernel_size, self.dilation = width, head_dim, kernel_size, dilation
        self.backend = backend
        self.qkv = nn.Linear(width, 3 * width)
        side = 2 * kernel_size - 1
        self.position_bias = nn.Parameter(torch.empty(heads, side, side)) if position == "relative" else None
        self.projection = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the position bias from a truncated normal (0.02)."""
        if self.position_bias is not None:
            nn.init.trunc_normal_(self.position_bias, std=0.02)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend to the window."""
        qkv = self.qkv(grid).unflatten(3, (3, -1, self.head_dim))
        if self.backend == "natten":
            q, k, v = qkv.unbind(3)
            h, w = grid.shape[1:3]
            window = (min(self.kernel_size, h), min(self.kernel_size, w))
            mixed = _import_natten().na2d(q, k, v, kernel_size=window, dilation=self.dilation)
        else:
            mixed = _attend_in_tiles(qkv, self.kernel_size, self.dilation, self.position_bias)
        return self.projection(mixed.flatten(3))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and the two products of each tile."""
        pairs = 1
        for size in (h, w):
            tiles, queries, keys = tile_sizes(size, self.kernel_size, self.dilation)
            pairs *= min(self.dilation, size) * tiles * queries * keys
        return 4 * h * w * self.width**2 + 2 * pairs * self.width


def _require_window(owner: str, kernel_size: int, dilation: int) -> None:
    same_padding(owner, kernel_size)
    if dilation < 1:
        raise ValueError(f"{owner}: dilation must be at least 1, got dilation={dilation}.")


def _import_natten() -> ModuleType:
    try:
        return importlib.import_module("natten")
    except ImportError as error:
        raise ImportError(
            "NeighborhoodAttention: backend='natten' needs the package natten: pip install vitcore[natten], "
            "or set backend='torch'."
        ) from error

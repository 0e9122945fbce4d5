"""Cross-shaped windows: half of the heads attend in vertical stripes, the other half in horizontal ones."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import pad

from vitcore.attention.dot_product_attention import group_attention
from vitcore.attention.heads import count_heads
from vitcore.convolution import depthwise_convolution, on_map, same_padding
from vitcore.op import FeatureOp


def to_stripes(grid: Shaped[Tensor, "b h w *c"], stripe: tuple[int, int]) -> Shaped[Tensor, "bn sh sw *c"]:
    """Cut a map into stripes of ``stripe`` = (rows, columns), in raster order within each image.

    A map that stripes do not fill is padded with zeros below and on the right. Stripes of whole rows are a view, others take
    one copy.
    """
    sh, sw = stripe
    below, right = -grid.shape[1] % sh, -grid.shape[2] % sw
    if below or right:
        grid = pad(grid, (0, 0) * (grid.ndim - 3) + (0, right, 0, below))
    return grid.unflatten(2, (-1, sw)).unflatten(1, (-1, sh)).transpose(2, 3).flatten(0, 2)


def from_stripes(stripes: Shaped[Tensor, "bn sh sw *c"], h: int, w: int) -> Shaped[Tensor, "b h w *c"]:
    """Put the stripes of h x w maps back together and crop the padding: the inverse of ``to_stripes``."""
    sh, sw = stripes.shape[1:3]
    grid = stripes.unflatten(0, (-1, -(-h // sh), -(-w // sw))).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return grid[:, :h, :w]


def pad_around(grid: Shaped[Tensor, "b h w *c"], stripe: tuple[int, int]) -> Shaped[Tensor, "b h2 w2 *c"]:
    """Pad a map with zeros until stripes fill it: half on either side, the odd row or column below or to the right."""
    down, across = -grid.shape[1] % stripe[0], -grid.shape[2] % stripe[1]
    if not (down or across):
        return grid
    sides = (across // 2, across - across // 2, down // 2, down - down // 2)
    return pad(grid, (0, 0) * (grid.ndim - 3) + sides)


def crop_middle(grid: Shaped[Tensor, "b h2 w2 *c"], h: int, w: int) -> Shaped[Tensor, "b h w *c"]:
    """Take off what ``pad_around`` put around a map of h x w tokens."""
    top, left = (grid.shape[1] - h) // 2, (grid.shape[2] - w) // 2
    return grid[:, top : top + h, left : left + w]


def stripe_attention(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    stripe: tuple[int, int],
    local: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to the tokens of its own stripe.

    Args:
        q: Queries of n heads.
        k: Keys.
        v: Values.
        stripe: Rows and columns of a stripe; a stripe that is longer than the map ends with the map.
        local: A function of the values of each stripe, (b * stripes, rows, columns, n * d) to the same shape, whose result is
            added: locally enhanced positional encoding. A stripe that crosses the border of the map is padded with zeros.
    """
    h, w = q.shape[1:3]
    size = (min(stripe[0], h), min(stripe[1], w))
    q_stripes, k_stripes, v_stripes = (to_stripes(part, size) for part in (q, k, v))
    out = group_attention(q_stripes, k_stripes, v_stripes, _real_tokens(h, w, size, q.device))
    if local is not None:
        out = out + local(v_stripes.flatten(3)).view(out.shape)
    return from_stripes(out, h, w)


def _real_tokens(h: int, w: int, stripe: tuple[int, int], device: torch.device) -> Bool[Tensor, "n sh sw"] | None:
    """Return which tokens of each stripe lie on the map; None if all do."""
    if h % stripe[0] == 0 and w % stripe[1] == 0:
        return None
    return to_stripes(torch.ones(1, h, w, dtype=torch.bool, device=device), stripe)


class CrossWindowAttention(FeatureOp):
    """Each token attends, in half of the heads, to a vertical stripe of the map and, in the other half, to a horizontal one.

    The first half of the heads attends in stripes of ``stripe`` columns and full height, the second half in stripes of
    ``stripe`` rows and full width: together the token sees a cross. Locally enhanced positional encoding (LePE), a 3x3
    depth-wise convolution of the values within each stripe with zeros beyond its borders, is added before the output
    projection. With ``stripe >= max(h, w)``, or ``"map"``, every head sees the whole map: global attention with LePE.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``, for two kinds of stripe into an even number of heads. Scores are
            scaled by head_dim ** -0.5.
        stripe: Width of a stripe in tokens, or ``map`` for a single branch over the whole map with all heads. The last stripe
            is narrower where stripes do not fill the map.
        kernel_size: Side of LePE's depth-wise filter in tokens; odd.
        padding: How a map that stripes do not fill is padded. ``masked``: below and to the right, and no token attends to the
            padding. ``seen``: all around, with queries, keys and values of zero that take part like all others; no stripe is
            then narrower than ``stripe``, as in the public code of CSWin for segmentation.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: 4 * h * w * width**2 multiply-adds, and for the stripes of each branch, padded to whole stripes,
    tokens**2 * width + tokens * kernel_size**2 * width / 2 per stripe (twice that for the single branch).

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, the number of heads is odd, ``stripe`` is less than 1, or
            ``kernel_size`` is even.

    Source: Dong et al., CSWin Transformer, CVPR 2022, "Cross-Shaped Window Self-Attention" and "Locally-Enhanced Positional
    Encoding". The order of the two halves is the public code's. That code has one branch where the resolution it is built for
    equals the stripe, and in its last stage: ``stripe="map"`` has its parameters, any ``stripe >= max(h, w)`` its values.
    Stripes that do not divide the map make its classification code fail; ``padding="seen"`` is the rule of its segmentation code.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 32,
        stripe: int | Literal["map"] = 7,
        kernel_size: int = 3,
        padding: Literal["masked", "seen"] = "masked",
    ) -> None:
        super().__init__()
        heads = count_heads("CrossWindowAttention", width, head_dim)
        same_padding("CrossWindowAttention", kernel_size)
        branches = 1 if stripe == "map" else 2
        if heads % branches:
            raise ValueError(
                "CrossWindowAttention: width must hold an even number of heads, half of them for each kind of stripe, "
                f"got width={width}, head_dim={head_dim}."
            )
        if stripe != "map" and stripe < 1:
            raise ValueError(f"CrossWindowAttention: stripe must be at least 1 or 'map', got stripe={stripe}.")
        self.width, self.head_dim, self.stripe, self.kernel_size = width, head_dim, stripe, kernel_size
        self.padding = padding
        self.qkv = nn.Linear(width, 3 * width)
        self.lepe = nn.ModuleList(depthwise_convolution(width // branches, kernel_size) for _ in range(branches))
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend in the stripes of each branch."""
        qkv = self.qkv(grid).unflatten(3, (3, len(self.lepe), -1, self.head_dim))
        branches = []
        h, w = grid.shape[1:3]
        for branch, stripe in enumerate(self._stripes(h, w)):
            own, near = qkv[:, :, :, :, branch], partial(on_map, self.lepe[branch])
            q, k, v = (pad_around(own, stripe) if self.padding == "seen" else own).unbind(3)
            branches.append(crop_middle(stripe_attention(q, k, v, stripe, near), h, w))
        return self.projection(torch.cat(branches, dim=3).flatten(3))

    def _stripes(self, h: int, w: int) -> list[tuple[int, int]]:
        if self.stripe == "map":
            return [(h, w)]
        if self.padding == "seen":
            return [(h, self.stripe), (self.stripe, w)]
        return [(h, min(self.stripe, w)), (min(self.stripe, h), w)]

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections, the two products with each stripe's attention matrix, and LePE."""
        total = 4 * h * w * self.width**2
        for rows, columns in self._stripes(h, w):
            stripes, tokens = -(-h // rows) * -(-w // columns), rows * columns
            filter_taps = self.kernel_size**2
            total += stripes * tokens * (2 * tokens + filter_taps) * self.width // len(self.lepe)
        return total

"""Spatial reduction: every token attends to a short list of keys, each of which stands for a piece of the map."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, gelu, pad

from vitcore.attention.group_attention import group_attention
from vitcore.attention.whole_map.global_attention import count_heads
from vitcore.convolution import GridConv2d
from vitcore.op import FeatureOp, NormFactory


def attend_to_keys(q: Float[Tensor, "b t c"], kv: Float[Tensor, "b m c2"], head_dim: int) -> Float[Tensor, "b t c"]:
    """Multi-head attention of t queries to m keys; ``kv`` is ordered [k | v][head][channel]."""
    keys, values = kv.unflatten(2, (2, -1, head_dim)).unbind(2)
    return group_attention(q.unflatten(2, (-1, head_dim)), keys, values).flatten(2)


class _AttentionToPieces(FeatureOp):
    """The projections and the attention; a subclass says how the map becomes keys."""

    def __init__(self, width: int, head_dim: int) -> None:
        super().__init__()
        count_heads(type(self).__name__, width, head_dim)
        self.width, self.head_dim = width, head_dim
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.projection = nn.Linear(width, width)

    def pieces(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c"]:
        """Return one token for each piece of the map."""
        raise TypeError(f"{type(self).__name__} does not define pieces(grid).")

    def finish(self, pieces: Float[Tensor, "b m 1 c"]) -> Float[Tensor, "b m 1 c"]:
        """Apply what acts on pieces and prefix tokens one by one."""
        raise TypeError(f"{type(self).__name__} does not define finish(pieces).")

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend to the pieces of the map."""
        return self._attend(grid.flatten(1, 2), self.pieces(grid).flatten(1, 2)).view(grid.shape)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"]]:
        """Attend to the prefix and the pieces of the map."""
        p = prefix.shape[1]
        queries = torch.cat((prefix, grid.flatten(1, 2)), dim=1)
        tokens = self._attend(queries, torch.cat((prefix, self.pieces(grid).flatten(1, 2)), dim=1))
        return tokens[:, p:].unflatten(1, grid.shape[1:3]), tokens[:, :p]

    def _attend(self, queries: Float[Tensor, "b t c"], keys: Float[Tensor, "b m c"]) -> Float[Tensor, "b t c"]:
        kv = self.kv(self.finish(keys.unsqueeze(2)).squeeze(2))
        return self.projection(attend_to_keys(self.q(queries), kv, self.head_dim))


class PatchReduction(GridConv2d):
    """Turn each patch of ``reduction`` x ``reduction`` tokens into one, by a convolution with a bias.

    Args:
        width: Channels of the grid.
        reduction: Side of a patch in tokens.

    Shapes:
        grid (b, h, w, width) -> (b, max(1, h // reduction), max(1, w // reduction), width); a smaller map is filled up with zeros
    """

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__(width, width, reduction, stride=reduction)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c"]:
        """Convolve each patch."""
        below, right = (max(0, patch - side) for patch, side in zip(self.kernel_size, grid.shape[1:3], strict=True))
        return super().forward(pad(grid, (0, 0, 0, right, 0, below)) if below or right else grid)


class SpatialReductionAttention(_AttentionToPieces):
    """Each token attends to the patches of reduction x reduction tokens, each a key.

    A strided convolution and a norm turn each patch into one token. Rows and columns that do not fill a patch are dropped,
    as in the public code; a map that is smaller than a patch, where that code fails, is filled up with zeros and gives one
    key. With ``reduction=1`` there is neither convolution nor norm: this is global attention.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        reduction: Key/value subsampling per side.
        norm: Makes the normalisation of the reduced tokens.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): joins queries and keys, in front. Its keys pass the convolution by and share the
        norm. (PVT has a class token only where the reduction is 1; for other reductions this is the rule of MViT's pooling
        attention.)

    Cost: 2 * (t + m) * width**2 + 2 * t * m * width multiply-adds for t = h * w + p queries and m = n + p keys,
    n = floor(h / reduction) * floor(w / reduction), and n * reduction**2 * width**2 of the convolution if there is one.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or ``reduction`` is less than 1.

    Source: Wang et al., Pyramid Vision Transformer, ICCV 2021, Eqs. 1-4. As in the public code the convolution, the
    projections and the output have biases, and the norm's epsilon is 1e-5.
    """

    def __init__(self, width: int, head_dim: int = 64, reduction: int = 8, norm: NormFactory = nn.LayerNorm) -> None:
        super().__init__(width, head_dim)
        if reduction < 1:
            raise ValueError(f"SpatialReductionAttention: reduction must be at least 1, got reduction={reduction}.")
        self.reduction = reduction
        self.reduce = PatchReduction(width, reduction) if reduction > 1 else nn.Identity()
        self.norm = norm(width) if reduction > 1 else nn.Identity()

    def pieces(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c"]:
        """Convolve each patch to one token."""
        return self.reduce(grid)

    def finish(self, pieces: Float[Tensor, "b m 1 c"]) -> Float[Tensor, "b m 1 c"]:
        """Normalise."""
        return self.norm(pieces)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Projections, the strided convolution and the two products with the attention matrix."""
        patches = max(1, h // self.reduction) * max(1, w // self.reduction)
        t, m = h * w + prefix, patches + prefix
        convolution = patches * self.reduction**2 * self.width**2 if self.reduction > 1 else 0
        return 2 * (t + m) * self.width**2 + 2 * t * m * self.width + convolution


class PooledReductionAttention(_AttentionToPieces):
    """Each token attends to a fixed number of keys, the averages of pool_size x pool_size pieces of the map.

    The cost is linear in h * w. Piece i covers rows floor(i * h / pool_size) to ceil((i + 1) * h / pool_size) - 1, and columns
    alike: together they cover the map, and on a map smaller than the pool they repeat tokens. With
    ``after_pooling="nothing"`` and h = w = pool_size this is global attention.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        pool_size: Keys per side.
        after_pooling: What happens to the averages: 1x1 ``convolution`` - norm - GELU as in the public code, or ``nothing``.
        norm: Makes the normalisation after that convolution.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): joins queries and keys, in front. Its keys pass the pooling by and share what
        comes after it. (PVTv2 has no prefix.)

    Cost: 2 * (t + m) * width**2 + 2 * t * m * width multiply-adds for t = h * w + p queries and m = pool_size**2 + p keys, and
    m * width**2 of the convolution.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or ``pool_size`` is less than 1.

    Source: Wang et al., PVT v2: Improved Baselines with Pyramid Vision Transformer, CVMJ 2022, "Linear Spatial
    Reduction Attention". The text has the pooling only; convolution, norm (epsilon 1e-5) and GELU are those of the public code.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 64,
        pool_size: int = 7,
        after_pooling: Literal["convolution", "nothing"] = "convolution",
        norm: NormFactory = nn.LayerNorm,
    ) -> None:
        super().__init__(width, head_dim)
        if pool_size < 1:
            raise ValueError(f"PooledReductionAttention: pool_size must be at least 1, got pool_size={pool_size}.")
        self.pool_size, self.after_pooling = pool_size, after_pooling
        if after_pooling == "convolution":
            self.reduce = GridConv2d(width, width, 1)
            self.norm = norm(width)

    def pieces(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c"]:
        """Average each piece."""
        return adaptive_avg_pool2d(grid.permute(0, 3, 1, 2), self.pool_size).permute(0, 2, 3, 1)

    def finish(self, pieces: Float[Tensor, "b m 1 c"]) -> Float[Tensor, "b m 1 c"]:
        """Convolve, normalise, activate."""
        return pieces if self.after_pooling == "nothing" else gelu(self.norm(self.reduce(pieces)))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Projections and the two products with the attention matrix."""
        t, m = h * w + prefix, self.pool_size**2 + prefix
        convolution = m * self.width**2 if self.after_pooling == "convolution" else 0
        return 2 * (t + m) * self.width**2 + 2 * t * m * self.width + convolution

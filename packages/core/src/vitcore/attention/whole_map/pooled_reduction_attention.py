"""Pooled reduction: every token attends to a fixed number of averages of the map."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, gelu

from vitcore.attention.whole_map.attention_to_pieces import AttentionToPieces
from vitcore.convolution import on_map
from vitcore.norm import build_norm, normalise
from vitcore.op import NormFactory


class PooledReductionAttention(AttentionToPieces):
    """Each token attends to a fixed number of keys, the averages of pool_size x pool_size pieces of the map.

    The cost is linear in h * w. Piece i covers rows floor(i * h / pool_size) to ceil((i + 1) * h / pool_size) - 1, and likewise
    columns: together they cover the map, and on a map smaller than the pool they repeat tokens. With
    ``after_pooling="nothing"`` and h = w = pool_size this is global attention.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        pool_size: Keys per side.
        after_pooling: What happens to the averages: 1x1 ``convolution`` - norm - GELU as in the public code, or ``nothing``.
        norm: Makes the normalisation after that convolution.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): joins queries and keys, in front. Its keys bypass the pooling and share the
        steps after it. (PVTv2 has no prefix.)

    Cost: 2 * (t + m) * width**2 + 2 * t * m * width multiply-adds for t = h * w + p queries and m = pool_size**2 + p keys, and
    m * width**2 of the convolution.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or ``pool_size`` is less than 1.

    Source: Wang et al., PVT v2: Improved Baselines with Pyramid Vision Transformer, CVMJ 2022, "Linear Spatial Reduction
    Attention". The paper describes the pooling only; convolution, norm (epsilon 1e-5) and GELU are those of the public code.
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
            self.reduce = nn.Conv2d(width, width, 1)
            self.norm = build_norm(norm, width)

    def pieces(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c"]:
        """Average each piece."""
        return adaptive_avg_pool2d(grid.permute(0, 3, 1, 2), self.pool_size).permute(0, 2, 3, 1)

    def finish(self, pieces: Float[Tensor, "b m 1 c"]) -> Float[Tensor, "b m 1 c"]:
        """Convolve, normalise, activate."""
        return pieces if self.after_pooling == "nothing" else gelu(normalise(self.norm, on_map(self.reduce, pieces)))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and the two products with the attention matrix."""
        t, m = h * w + prefix, self.pool_size**2 + prefix
        convolution = m * self.width**2 if self.after_pooling == "convolution" else 0
        return 2 * (t + m) * self.width**2 + 2 * t * m * self.width + convolution

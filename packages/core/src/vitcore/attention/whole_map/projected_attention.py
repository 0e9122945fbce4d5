"""Global attention whose queries, keys and values come from a projection that the caller chooses."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.attention.dot_product_attention import group_attention
from vitcore.attention.heads import count_heads
from vitcore.attention.qkv_projection import ProjectionFactory, SeparableProjection
from vitcore.op import FeatureOp


class ProjectedAttention(FeatureOp):
    """Each token attends to all keys that the projection makes of the map.

    With ``LinearProjection`` this is global attention. With ``SeparableProjection`` a key stands for its neighbourhood, and
    with ``reduction=2`` there is one key for every 2 x 2 tokens: CvT's attention.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``.
        projection: Makes queries, keys and values.
        scale: Factor on the scores; head_dim ** -0.5 if it is None. CvT's public code has width ** -0.5.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): joins queries and keys, in front; it bypasses the filters of the projection.

    Cost: that of the projection, t * width**2 + 2 * t * m * width multiply-adds for t = h * w + p queries and m keys, prefix
    included.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``.

    Source: Wu et al., CvT: Introducing Convolutions to Vision Transformers, ICCV 2021, "Convolutional Projection". Differs from
    the public code in the default of ``scale``.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 64,
        projection: ProjectionFactory = SeparableProjection,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        count_heads("ProjectedAttention", width, head_dim)
        self.width, self.head_dim, self.scale = width, head_dim, scale
        self.qkv = projection(width)
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend over all keys."""
        return self._attend(*(part.flatten(1, 2) for part in self.qkv(grid))).view(grid.shape)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"]]:
        """Attend over the prefix and all keys."""
        p = prefix.shape[1]
        parts = zip(self.qkv.project_prefix(prefix), self.qkv(grid), strict=True)
        tokens = self._attend(*(torch.cat((front, part.flatten(1, 2)), dim=1) for front, part in parts))
        return tokens[:, p:].unflatten(1, grid.shape[1:3]), tokens[:, :p]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (part.unflatten(2, (-1, self.head_dim)) for part in (q, k, v))
        return self.projection(group_attention(q, k, v, scale=self.scale).flatten(2))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the projections and the two products with the attention matrix."""
        rows, columns = self.qkv.key_size(h, w)
        t, m = h * w + prefix, rows * columns + prefix
        return self.qkv.macs(h, w, prefix) + t * self.width**2 + 2 * t * m * self.width

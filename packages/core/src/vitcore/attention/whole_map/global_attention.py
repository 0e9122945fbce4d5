"""Global multi-head self-attention: every token sees every token."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitcore.attention.heads import count_heads, merge_heads, split_qkv
from vitcore.op import FeatureOp
from vitcore.sequence import as_one_sequence


class GlobalAttention(FeatureOp):
    """Each token attends to all tokens of its image, prefix tokens included.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        bias: Which linear maps have a bias: ``all``, or only the ``projection`` of the output.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): the prefix joins the sequence in front of the grid in raster order.

    Cost: t * 4 * width**2 + 2 * t**2 * width multiply-adds, t = h * w + p.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, appendix A, Eqs. 5-8.
    """

    def __init__(self, width: int, head_dim: int = 64, bias: Literal["all", "projection"] = "all") -> None:
        super().__init__()
        count_heads("GlobalAttention", width, head_dim)
        self.width = width
        self.head_dim = head_dim
        self.qkv = nn.Linear(width, 3 * width, bias=bias == "all")
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend over the whole grid."""
        return self._attend(grid.flatten(1, 2)).view(grid.shape)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"]]:
        """Attend over the prefix and the grid as one sequence."""
        return as_one_sequence(self._attend, grid, prefix)

    def _attend(self, tokens: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        q, k, v = split_qkv(self.qkv(tokens), self.head_dim)
        return self.projection(merge_heads(scaled_dot_product_attention(q, k, v)))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and the two products with the attention matrix."""
        t = h * w + prefix
        return 4 * t * self.width**2 + 2 * t**2 * self.width

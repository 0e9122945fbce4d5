"""Global multi-head self-attention: every token sees every token."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitcore.attention.heads import count_heads, merge_heads, split_heads, split_qkv
from vitcore.op import FeatureOp
from vitcore.sequence import as_one_sequence


class GlobalAttention(FeatureOp):
    """Each token attends to all tokens of its image, prefix tokens included.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        bias: Which linear maps have a bias: ``all``, or only the ``projection`` of the output.
        query_width: Channels of the queries, and of the keys, of all heads together; None for ``width``.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): the prefix joins the sequence in front of the grid in raster order.

    Cost: t * 2 * width * (width + query_width) + t**2 * (width + query_width) multiply-adds, t = h * w + p; with queries of the
    full width t * 4 * width**2 + 2 * t**2 * width.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or the number of heads does not divide ``query_width``.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, appendix A, Eqs. 5-8. ``query_width`` is ``width /
    qk_reduce`` of the public code of Li et al., LocalViT, 2021, which scales by the width of a head of values as here.
    """

    def __init__(
        self,
        width: int,
        head_dim: int = 64,
        bias: Literal["all", "projection"] = "all",
        query_width: int | None = None,
    ) -> None:
        super().__init__()
        heads = count_heads("GlobalAttention", width, head_dim)
        self.width = width
        self.head_dim = head_dim
        self.query_width = width if query_width is None else query_width
        if self.query_width < 1 or self.query_width % heads:
            raise ValueError(
                "GlobalAttention: the number of heads must divide query_width, "
                f"got query_width={query_width}, width={width}, head_dim={head_dim}."
            )
        self.qkv = nn.Linear(width, width + 2 * self.query_width, bias=bias == "all")
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
        if self.query_width == self.width:
            q, k, v = split_qkv(self.qkv(tokens), self.head_dim)
            return self.projection(merge_heads(scaled_dot_product_attention(q, k, v)))
        parts = self.qkv(tokens).split((self.query_width, self.query_width, self.width), dim=2)
        q, k, v = (split_heads(part, self.width // self.head_dim) for part in parts)
        return self.projection(merge_heads(scaled_dot_product_attention(q, k, v, scale=self.head_dim**-0.5)))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and the two products with the attention matrix."""
        t = h * w + prefix
        return t * (2 * self.width + t) * (self.width + self.query_width)

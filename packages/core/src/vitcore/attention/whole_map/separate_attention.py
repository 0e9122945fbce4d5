"""Global attention whose values have a projection of their own: TNT's layout."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from vitcore.attention.dot_product_attention import attend
from vitcore.attention.heads import count_heads, merge_heads, split_qkv
from vitcore.op import FeatureOp
from vitcore.sequence import as_one_sequence

torch.fx.wrap("attend")  # torch.fx cannot trace a decision that depends on the number of keys


class SeparateAttention(FeatureOp):
    """Each token attends to all tokens of its image; queries and keys share a projection, values have another, both bias-free.

    It computes what ``GlobalAttention(bias="projection")`` computes with the two weights stacked; as two parameters they keep
    their own initialisation, weight decay and names.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): the prefix joins the sequence in front of the grid in raster order.

    Cost: t * 4 * width**2 + 2 * t**2 * width multiply-adds, t = h * w + p.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``.

    Source: Han et al., Transformer in Transformer, NeurIPS 2021, section 3.1; the two projections are those of the public code.
    """

    def __init__(self, width: int, head_dim: int = 64) -> None:
        super().__init__()
        count_heads("SeparateAttention", width, head_dim)
        self.head_dim = head_dim
        self.qk = nn.Linear(width, 2 * width, bias=False)
        self.v = nn.Linear(width, width, bias=False)
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
        # Joining the weights instead of the results takes one matrix product and copies no tokens.
        qkv = linear(tokens, torch.cat((self.qk.weight, self.v.weight)))
        q, k, v = split_qkv(qkv, self.head_dim)
        return self.projection(merge_heads(attend(q, k, v)))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections and the two products with the attention matrix."""
        t, width = h * w + prefix, self.v.in_features
        return 2 * t * width * (2 * width + t)

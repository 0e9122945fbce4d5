"""T2T's token transformer: global attention that also changes the width."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from vitcore.attention.heads import merge_heads, split_qkv


class TokenAttention(nn.Module):
    """Each token attends to all tokens of its image; the values are the skip connection.

    One head. The output is v + projection(attention), because the input has another width and cannot be added. The op
    contains neither the norm before it nor the feed-forward after it.

    Args:
        in_width: Channels of the input grid. Scores are scaled by in_width ** -0.5.
        width: Channels of the output grid, of the queries, keys and values.
        bias: Which linear maps have a bias: ``all``, or only the ``projection`` of the output.

    Shapes:
        grid (b, h, w, in_width) -> (b, h, w, width)

    Cost: t * width * (3 * in_width + width) + 2 * t**2 * width multiply-adds, t = h * w.

    Source: Yuan et al., Tokens-to-Token ViT, ICCV 2021, section 3.1. As in the public code, the scale uses the width of the
    input and not that of the keys.
    """

    def __init__(self, in_width: int, width: int, bias: Literal["all", "projection"] = "projection") -> None:
        super().__init__()
        self.scale = in_width**-0.5
        self.qkv = nn.Linear(in_width, 3 * width, bias=bias == "all")
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w d"]:
        """Attend over the whole grid."""
        q, k, v = split_qkv(self.qkv(grid.flatten(1, 2)), self.projection.in_features)
        mixed = scaled_dot_product_attention(q, k, v, scale=self.scale)
        return (merge_heads(v) + self.projection(merge_heads(mixed))).unflatten(1, grid.shape[1:3])

    def macs(self, h: int, w: int) -> int:
        """Count projections and the two products with the attention matrix."""
        t, width = h * w, self.projection.in_features
        return t * (self.qkv.weight.numel() + width**2) + 2 * t**2 * width

"""T2T's token performer: attention of linear cost by random features, which also changes the width."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from vitcore.precision import full_precision

EPSILON = 1e-8
"""Added to the normaliser, as in the public code: features that underflow would give 0 / 0."""


def random_features(tokens: Float[Tensor, "b t d"], directions: Float[Tensor, "m d"]) -> Float[Tensor, "b t m"]:
    """Return exp(w . x - |x|**2 / 2) / sqrt(m) for each direction w; features of q times those of k estimate exp(q . k)."""
    half_squares = tokens.square().sum(dim=-1, keepdim=True) / 2
    return (linear(tokens, directions) - half_squares).exp() * directions.shape[0] ** -0.5


def performer_attention(
    q: Float[Tensor, "b t d"], k: Float[Tensor, "b t d"], v: Float[Tensor, "b t d"], directions: Float[Tensor, "m d"]
) -> Float[Tensor, "b t d"]:
    """Average the values with weights proportional to the features' products, never forming the t x t matrix.

    Computed in float32 or better, also under autocast: exponentials and sums over all tokens exceed the range of half
    precision.
    """
    precise = torch.promote_types(v.dtype, torch.float32)
    with full_precision(v):
        directions = directions.to(precise)
        q_features = random_features(q.to(precise), directions)
        k_features = random_features(k.to(precise), directions)
        total = q_features @ k_features.sum(dim=1).unsqueeze(-1)
        mixed = q_features @ (k_features.transpose(1, 2) @ v.to(precise))
        # Added as a tensor: the optimiser of ONNX graphs would drop the addition of so small a constant.
        return (mixed / (total + total.new_full((1,), EPSILON))).to(v.dtype)


class PerformerAttention(nn.Module):
    """Each token attends to all tokens of its image by random features; the values are the skip connection.

    One head. The output is v + projection(attention), because the input has another width and cannot be added. The op
    contains neither the norm before it nor the feed-forward after it.

    Args:
        in_width: Channels of the input grid.
        width: Channels of the output grid, of the queries, keys and values.
        feature_ratio: Random features as a multiple of ``width``; the product is rounded down.

    Shapes:
        grid (b, h, w, in_width) -> (b, h, w, width)

    Cost: h * w * (3 * in_width * width + 4 * m * width + m + width**2) multiply-adds for m features, and 3 * h * w * width
    elementwise ones.

    Raises:
        ValueError: ``feature_ratio`` leaves no random feature.

    Source: Choromanski et al., Rethinking Attention with Performers, ICLR 2021, Lemma 1, as used by Yuan et al., Tokens-to-Token
    ViT, ICCV 2021. As in the public code of the latter, queries and keys are not scaled by width ** -0.25, the directions are
    orthogonal, of length sqrt(m), drawn once and kept in the state dict, and the joint projection holds k, q, v in this order.
    Its dropout of 0.1 is left out.
    """

    directions: Tensor

    def __init__(self, in_width: int, width: int, feature_ratio: float = 0.5) -> None:
        super().__init__()
        m = int(width * feature_ratio)
        if m < 1:
            raise ValueError(
                "PerformerAttention: feature_ratio must give at least one feature, "
                f"got width={width}, feature_ratio={feature_ratio}."
            )
        self.kqv = nn.Linear(in_width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.register_buffer("directions", torch.empty(m, width))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the directions anew."""
        nn.init.orthogonal_(self.directions).mul_(len(self.directions) ** 0.5)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w d"]:
        """Attend over the whole grid."""
        k, q, v = self.kqv(grid).chunk(3, dim=-1)
        mixed = performer_attention(q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2), self.directions)
        return v + self.projection(mixed).view(v.shape)

    def macs(self, h: int, w: int) -> int:
        """Count projections, features of queries and keys, the normaliser and the two products with the features."""
        m, width = self.directions.shape
        return h * w * (self.kqv.weight.numel() + 4 * m * width + m + width**2)

    def elementwise_macs(self, h: int, w: int) -> int:
        """Count the squares of queries and keys, and the division by the normaliser."""
        return 3 * h * w * self.directions.shape[1]

"""Attention within groups of tokens, whatever the groups are: windows, stripes, rows, clusters."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from vitcore.attention.whole_map.global_attention import attend

torch.fx.wrap("attend")  # a symbolic trace cannot follow what depends on the number of keys


def group_attention(
    q: Float[Tensor, "g *t n d"],
    k: Float[Tensor, "g *s n d"],
    v: Float[Tensor, "g *s n d"],
    real: Bool[Tensor, "m *s"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "g *t n d"]:
    """Let each token attend to the tokens of its own group, in n heads.

    Args:
        q: Queries, any number of token axes.
        k: Keys.
        v: Values.
        real: Which keys count, for the m groups of one image; the g groups are those of g / m images. None if all do.
        scale: Factor on the scores; d ** -0.5 if it is None.
    """
    queries, keys, values = (part.flatten(1, -3).transpose(1, 2) for part in (q, k, v))
    mask = None if real is None else real.flatten(1)[:, None, None].repeat(q.shape[0] // real.shape[0], 1, 1, 1)
    if mask is None:
        attended = attend(queries, keys, values, scale)
    else:
        attended = scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=scale)
    return attended.transpose(1, 2).reshape(q.shape)

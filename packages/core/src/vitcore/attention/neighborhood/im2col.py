"""Local attention by im2col: the textbook form, kept as a reference, which copies keys and values kernel_size**2 times."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import unfold

from vitcore.convolution import same_padding


def local_attention_im2col(
    q: Float[Tensor, "b h w n d"],
    k: Float[Tensor, "b h w n d"],
    v: Float[Tensor, "b h w n d"],
    kernel_size: int = 3,
    score_bias: Float[Tensor, "n o"] | None = None,
    borders: Literal["zero", "masked"] = "zero",
    scale: float | None = None,
) -> Float[Tensor, "b h w n d"]:
    """Let each token attend to the o = kernel_size**2 places around it; ``slide_attention`` with a fixed shift is faster.

    Args:
        q: Queries of n heads.
        k: Keys.
        v: Values.
        kernel_size: Side of the neighbourhood in tokens; odd.
        score_bias: Added to the scaled score of a place.
        borders: Places outside the map have zero as key and value (``zero``), or take no part (``masked``).
        scale: Factor on q * k; d ** -0.5 if it is None.

    Raises:
        ValueError: ``kernel_size`` is even.

    Source: Ramachandran et al., Stand-Alone Self-Attention in Vision Models, NeurIPS 2019, Eq. 2.
    """
    reach = same_padding("local_attention_im2col", kernel_size)
    h, w, n, d = q.shape[1:]

    def columns(grid: Tensor) -> Float[Tensor, "b n d o t"]:
        channels_first = grid.permute(0, 3, 4, 1, 2).flatten(1, 2)
        return unfold(channels_first, kernel_size, padding=reach).unflatten(1, (n, d, kernel_size**2))

    queries = q.permute(0, 3, 4, 1, 2).flatten(3).unsqueeze(3)
    scores = (queries * columns(k)).sum(2) * (d**-0.5 if scale is None else scale)
    if score_bias is not None:
        scores = scores + score_bias[:, :, None]
    if borders == "masked":
        inside = unfold(torch.ones(1, 1, h, w, device=q.device), kernel_size, padding=reach)
        scores = scores.masked_fill(inside == 0, -torch.inf)
    mixed = (scores.softmax(2).to(v.dtype).unsqueeze(2) * columns(v)).sum(3)
    return mixed.unflatten(3, (h, w)).permute(0, 3, 4, 1, 2)

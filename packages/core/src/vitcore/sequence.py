"""Prefix tokens and feature map treated as one sequence."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def as_one_sequence(
    function: Callable[[Tensor], Tensor], grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"]]:
    """Apply a function of tokens (b, t, c) to the prefix followed by the grid in raster order, and split the result.

    One call is faster than two, even for a function that treats tokens separately: weights are read once and
    their gradients are computed once.
    """
    h, w = grid.shape[1:3]
    tokens = function(torch.cat((prefix, grid.flatten(1, 2)), dim=1))
    # One split, not two slices: its gradient is one concatenation instead of three passes.
    new_prefix, new_grid = tokens.split((prefix.shape[1], h * w), dim=1)
    return new_grid.unflatten(1, (h, w)), new_prefix

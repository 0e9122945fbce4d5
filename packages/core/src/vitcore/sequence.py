"""Prefix tokens and feature map as one sequence."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def as_one_sequence(
    function: Callable[[Tensor], Tensor], grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"]]:
    """Apply a function of tokens (b, t, c) to the prefix followed by the grid in raster order, and part the two again.

    One call on both is faster than two even where they do not meet: weights are read, and their gradients made, once.
    """
    h, w = grid.shape[1:3]
    tokens = function(torch.cat((prefix, grid.flatten(1, 2)), dim=1))
    # Parted at once: the gradient of a split is one concatenation, those of two slices are three passes.
    new_prefix, new_grid = tokens.split((prefix.shape[1], h * w), dim=1)
    return new_grid.unflatten(1, (h, w)), new_prefix

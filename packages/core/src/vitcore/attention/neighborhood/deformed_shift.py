"""The filters that shift a map to each place of a neighbourhood: fixed, learned, or the sum of both, which is one filter."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import same_padding


def one_hot_shifts(head_dim: int, kernel_size: int) -> Float[Tensor, "do 1 k k"]:
    """Return the depth-wise filters of the fixed shift: output channel c * k**2 + o is input channel c as seen at place o.

    Places are in raster order: o = row * k + column is the token at (row - k // 2, column - k // 2) from the query.
    """
    return torch.eye(kernel_size**2).view(-1, 1, kernel_size, kernel_size).repeat(head_dim, 1, 1, 1)


class DeformedShift(nn.Module):
    """Depth-wise filters from the map of a head to its k**2 shifted maps, shared by all heads, by keys and by values.

    Args:
        head_dim: Channels per head.
        kernel_size: Side k of the neighbourhood in tokens; odd.
        shift: ``fixed``: the one-hot filters, no bias. ``learned``: filters and bias are learned. ``both``: the sum of the two,
            where the fixed filters too have a learned bias, as in the public code.

    Shapes:
        () -> filters (head_dim * k**2, 1, k, k), bias (head_dim * k**2,); None and None for a fixed shift

    Raises:
        ValueError: ``kernel_size`` is even.

    Source: Pan et al., Slide-Transformer, CVPR 2023, deformed shifting module and its re-parameterisation.
    """

    def __init__(self, head_dim: int, kernel_size: int, shift: Literal["fixed", "learned", "both"] = "both") -> None:
        super().__init__()
        same_padding("DeformedShift", kernel_size)
        self.head_dim, self.kernel_size = head_dim, kernel_size
        filters = one_hot_shifts(head_dim, kernel_size)
        self.weight = None if shift == "fixed" else nn.Parameter(torch.empty_like(filters))
        self.bias = None if shift == "fixed" else nn.Parameter(torch.empty(len(filters)))
        self.fixed_bias = nn.Parameter(torch.empty(len(filters))) if shift == "both" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw filters and biases as a convolution of one channel a group does: uniform up to 1 / kernel_size."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / self.kernel_size, 1 / self.kernel_size)

    def forward(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the filters and the bias of the one convolution that equals the sum of the shifts."""
        if self.weight is None or self.bias is None or self.fixed_bias is None:
            return self.weight, self.bias
        return self.weight + self._one_hot(self.weight), self.bias + self.fixed_bias

    @torch.no_grad()
    def merge(self) -> None:
        """Fold the fixed shift into the learned one, in place: ``both`` becomes the ``learned`` that computes the same.

        Raises:
            ValueError: The shift is not ``both``.
        """
        if self.weight is None or self.bias is None or self.fixed_bias is None:
            raise ValueError(f"DeformedShift: merge needs shift='both', got shift='{self.kind}'.")
        self.weight.add_(self._one_hot(self.weight))
        self.bias.add_(self.fixed_bias)
        self.fixed_bias = None

    @torch.no_grad()
    def unmerge(self) -> None:
        """Take the fixed shift out of the learned one, in place: it undoes ``merge``, but the fixed shift's bias is zero.

        Raises:
            ValueError: The shift is not ``learned``.
        """
        if self.weight is None or self.bias is None or self.fixed_bias is not None:
            raise ValueError(f"DeformedShift: unmerge needs shift='learned', got shift='{self.kind}'.")
        self.weight.sub_(self._one_hot(self.weight))
        self.fixed_bias = nn.Parameter(torch.zeros_like(self.bias))

    @property
    def kind(self) -> Literal["fixed", "learned", "both"]:
        """Return whether the filters are fixed, learned, or the sum of both."""
        if self.weight is None:
            return "fixed"
        return "learned" if self.fixed_bias is None else "both"

    def _one_hot(self, like: Tensor) -> Tensor:
        return one_hot_shifts(self.head_dim, self.kernel_size).to(like)

"""The filters that shift maps to each place of a neighbourhood: fixed, learned, or the sum of the two, which is one filter."""

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
        shift: ``fixed``: the one-hot filters, without a bias. ``learned``: filters and bias are learned. ``both``: their sum, with
            a learned bias in each summand as the public code has it.

    Shapes:
        () -> filters (head_dim * k**2, 1, k, k) or None, bias (head_dim * k**2,) or None: None for a fixed shift

    Raises:
        ValueError: ``kernel_size`` is even.

    Source: Pan et al., Slide-Transformer, CVPR 2023, section 4.2 (deformed shifting module and re-parameterisation).
    """

    def __init__(self, head_dim: int, kernel_size: int, shift: Literal["fixed", "learned", "both"] = "both") -> None:
        super().__init__()
        reach = same_padding("DeformedShift", kernel_size)
        maps = head_dim * kernel_size**2
        self.head_dim, self.kernel_size = head_dim, kernel_size
        self.learned = None if shift == "fixed" else nn.Conv2d(head_dim, maps, kernel_size, padding=reach, groups=head_dim)
        self.fixed_bias = nn.Parameter(torch.empty(maps)) if shift == "both" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the bias of the fixed shift as that of a convolution."""
        if self.fixed_bias is not None:
            nn.init.uniform_(self.fixed_bias, -1 / self.kernel_size, 1 / self.kernel_size)

    def forward(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the filters and the bias of the one convolution that equals the sum of the shifts."""
        if self.learned is None:
            return None, None
        if self.fixed_bias is None:
            return self.learned.weight, self.learned.bias
        return self.learned.weight + self._one_hot(), self.learned.bias + self.fixed_bias

    @torch.no_grad()
    def merge(self) -> None:
        """Fold the fixed shift into the learned one: ``both`` becomes the ``learned`` that computes the same.

        Raises:
            ValueError: The shift is not ``both``.
        """
        if self.learned is None or self.fixed_bias is None:
            raise ValueError(f"DeformedShift: merge needs shift='both', got shift='{self.kind}'.")
        weight, bias = self()
        self.learned.weight.copy_(weight)
        self.learned.bias.copy_(bias)
        self.fixed_bias = None

    @torch.no_grad()
    def unmerge(self) -> None:
        """Take the fixed shift out of the learned one again: the inverse of ``merge``, but for the split of the biases' sum.

        Raises:
            ValueError: The shift is not ``learned``.
        """
        if self.learned is None or self.fixed_bias is not None:
            raise ValueError(f"DeformedShift: unmerge needs shift='learned', got shift='{self.kind}'.")
        self.learned.weight.sub_(self._one_hot())
        self.fixed_bias = nn.Parameter(torch.zeros_like(self.learned.bias))

    @property
    def kind(self) -> Literal["fixed", "learned", "both"]:
        """What the filters are at present."""
        if self.learned is None:
            return "fixed"
        return "learned" if self.fixed_bias is None else "both"

    def _one_hot(self) -> Tensor:
        return one_hot_shifts(self.head_dim, self.kernel_size).to(self.learned.weight)

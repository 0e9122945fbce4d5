"""What every op is: a feature map in, a feature map of the same shape out."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FeatureOp(nn.Module):
    """An op on a feature map, with a rule for the prefix tokens (class tokens, messengers) that may travel beside it.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width), any h and w

    A subclass defines ``forward`` and states its cost in ``macs``; products that are neither matrix products nor convolutions
    go into ``elementwise_macs``. It overrides ``forward_prefixed`` if it has a rule for prefix tokens.
    """

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Return the new feature map."""
        raise TypeError(f"{type(self).__name__} does not define forward(grid).")

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], Float[Tensor, "b p c"] | None]:
        """Return the new feature map and prefix; None instead of a prefix means that this op leaves the prefix alone.

        Raises:
            TypeError: The op has no rule for prefix tokens.
        """
        raise TypeError(
            f"{type(self).__name__} has no rule for prefix tokens, got {prefix.shape[1]}; "
            "use it in a skeleton without a class token or override forward_prefixed."
        )

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Return the multiply-adds of matrix products and convolutions for one map of h x w tokens and ``prefix`` tokens."""
        raise TypeError(f"{type(self).__name__} does not state its cost: define macs(h, w, prefix).")

    def elementwise_macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Return the multiply-adds of elementwise products, which operation counters do not see."""
        return 0


def value_of(parameter: Tensor) -> Tensor:
    """Return a parameter for making views of it; without gradients a copy.

    A view of a parameter has ``requires_grad`` set even where no gradient is recorded, which makes torch's FlopCounterMode and
    other tools fail.
    """
    return parameter if torch.is_grad_enabled() else parameter.clone()


class Nothing(FeatureOp):
    """An empty slot: a skeleton leaves out the whole branch, its norm and its residual included.

    Shapes:
        grid (b, h, w, width) -> zeros of the same shape
    """

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Return zeros: added to the residual stream they change nothing."""
        return grid.new_zeros(grid.shape)

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], None]:
        """Return zeros and leave the prefix alone."""
        return self(grid), None

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Return 0: nothing is computed."""
        return 0


OpFactory: TypeAlias = Callable[[int], FeatureOp]
"""Makes an op for a width: what a slot of a skeleton holds. A FeatureOp subclass, or ``functools.partial`` of one."""

NormFactory: TypeAlias = Callable[[int], nn.Module]
"""Makes a module for a width that maps a grid (b, h, w, width) to its shape: a normalisation or a channel attention."""

ActivationFactory: TypeAlias = Callable[[], nn.Module]
"""Makes an elementwise non-linearity."""

"""LocalViT's feed-forward: a depth-wise convolution brings locality into the transformer's MLP."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vitcore.convolution import depthwise_convolution, on_map, same_padding
from vitcore.feed_forward.mlp import hidden_width
from vitcore.norm import GridBatchNorm2d, build_norm, normalise
from vitcore.op import ActivationFactory, FeatureOp, NormFactory

IN_PLACE: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Hardswish: functional.hardswish,
    nn.ReLU: functional.relu,
    nn.ReLU6: functional.relu6,
    nn.SiLU: functional.silu,
}
"""The functions of activations that can write their result over their input."""


class LocalityFeedForward(FeatureOp):
    """Expand, look at the neighbours, gate the channels, contract.

    1x1 convolution - norm - activation, k x k depth-wise convolution - norm - activation, channel attention, 1x1
    convolution - norm; no biases. With ``placement="none"`` no token sees another except through the channel attention.

    Without gradients, the activations in ``IN_PLACE`` overwrite their input, the result of the norm before them, which saves a
    hidden map. No module is changed for that. An activation with a forward hook is called as usual and overwrites nothing; a
    hook on the norm must copy what it wants to keep.

    Args:
        width: Channels of the grid.
        ratio: Hidden channels as a multiple of ``width``; the product is rounded down.
        kernel_size: Side of the depth-wise filter in tokens; odd. Borders are padded with zeros.
        placement: Where the depth-wise convolution sits: on the hidden channels (``middle``), on ``width`` channels before
            the expansion (``first``), or nowhere (``none``).
        activation: Makes the non-linearity, once for each place that has one.
        channel_attention: Makes the gate on the hidden channels; ``torch.nn.Identity`` for none.
        norm: Makes the normalisations on grids.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width): is left alone; the op returns None for it.

    Cost: h * w * (2 * width * hidden + k**2 * (hidden or width)) multiply-adds and those of the channel attention.

    Raises:
        ValueError: ``kernel_size`` is even, or ``ratio`` leaves no hidden channel.

    Source: Li et al., LocalViT: Bringing Locality to Vision Transformers, 2021, Eqs. 5-7. The public code adds the
    residual inside; here the skeleton adds it. ``placement="first"`` convolves ``width`` channels; the public code expects
    the number of hidden channels there and fails.
    """

    def __init__(
        self,
        width: int,
        ratio: float = 4.0,
        kernel_size: int = 3,
        placement: Literal["none", "first", "middle"] = "middle",
        activation: ActivationFactory = nn.Hardswish,
        channel_attention: NormFactory = nn.Identity,
        norm: NormFactory = GridBatchNorm2d,
    ) -> None:
        super().__init__()
        same_padding("LocalityFeedForward", kernel_size)
        hidden = hidden_width("LocalityFeedForward", width, ratio)
        self.width, self.hidden = width, hidden
        self.taps = kernel_size**2 * {"none": 0, "first": width, "middle": hidden}[placement]
        self.first = _neighbours(width, kernel_size, activation, norm) if placement == "first" else nn.Sequential()
        self.expand = nn.Sequential(nn.Conv2d(width, hidden, 1, bias=False), build_norm(norm, hidden), activation())
        self.middle = _neighbours(hidden, kernel_size, activation, norm) if placement == "middle" else nn.Sequential()
        self.channel_attention = build_norm(channel_attention, hidden)
        self.contract = nn.Sequential(nn.Conv2d(hidden, width, 1, bias=False), build_norm(norm, width))

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Apply the feed-forward to the map."""
        hidden = grid
        # One by one: a function for several of them would keep its input, a whole hidden map, alive until it ends.
        for apply, part in self._steps():
            hidden = apply(part, hidden)
        return hidden

    def _steps(self) -> list[tuple[Callable[[nn.Module, Tensor], Tensor], nn.Module]]:
        """Return each part in order, with the function that applies it to a grid."""
        kinds: list[Callable[[nn.Module, Tensor], Tensor]] = [on_map, normalise, activate]
        steps = [step for layer in (self.first, self.expand, self.middle) for step in zip(kinds, layer, strict=False)]
        return [*steps, (normalise, self.channel_attention), *zip(kinds, self.contract, strict=False)]

    def forward_prefixed(
        self, grid: Float[Tensor, "b h w c"], prefix: Float[Tensor, "b p c"]
    ) -> tuple[Float[Tensor, "b h w c"], None]:
        """Apply the feed-forward to the map; the prefix has no neighbours and is left alone."""
        return self(grid), None

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count two matrix products, the depth-wise convolution and the channel attention."""
        inside = h * w * self.taps
        if isinstance(self.channel_attention, FeatureOp):
            inside += self.channel_attention.macs(h, w)
        return 2 * h * w * self.width * self.hidden + inside

    def elementwise_macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count those of the channel attention."""
        return self.channel_attention.elementwise_macs(h, w) if isinstance(self.channel_attention, FeatureOp) else 0


def _neighbours(width: int, kernel_size: int, activation: ActivationFactory, norm: NormFactory) -> nn.Sequential:
    return nn.Sequential(depthwise_convolution(width, kernel_size, bias=0), build_norm(norm, width), activation())


def activate(activation: nn.Module, hidden: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
    """Apply an activation; without gradients by the function that overwrites ``hidden``, unless a hook waits for the call."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or type(activation) not in IN_PLACE:
        return activation(hidden)
    hooked = activation._forward_hooks or activation._forward_pre_hooks
    return activation(hidden) if hooked else IN_PLACE[type(activation)](hidden, inplace=True)

"""Projections of a grid to queries, keys and values: token by token, or by convolutions that see the neighbours."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import on_map, same_padding
from vitcore.norm import GridBatchNorm2d, build_norm, normalise
from vitcore.op import NormFactory


class Projection(nn.Module):
    """Base of the projections that make queries, keys and values.

    Shapes:
        grid (b, h, w, width) -> queries (b, h, w, width), keys and values (b, h', w', width)
        prefix (b, p, width) -> three times (b, p, width): prefix tokens have no neighbours, each is projected alone.
    """

    def forward(self, grid: Float[Tensor, "b h w c"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values."""
        raise TypeError(f"{type(self).__name__} does not define forward(grid).")

    def project_prefix(self, prefix: Float[Tensor, "b p c"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the prefix's queries, keys and values."""
        raise TypeError(f"{type(self).__name__} does not define project_prefix(prefix).")

    def key_size(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of keys that a map of h x w tokens gives."""
        return h, w

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Return the multiply-adds for a map of h x w tokens and ``prefix`` tokens."""
        raise TypeError(f"{type(self).__name__} does not state its cost: define macs(h, w, prefix).")


ProjectionFactory: TypeAlias = Callable[[int], Projection]
"""Makes a projection for a width."""


class LinearProjection(Projection):
    """One linear map for every token, ordered [q | k | v].

    Args:
        width: Channels of the grid.
        bias: Where there are bias terms: on ``all`` maps or on ``none``.

    Shapes:
        grid (b, h, w, width) -> three times (b, h, w, width)

    Cost: 3 * (h * w + p) * width**2 multiply-adds.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.2.2.
    """

    def __init__(self, width: int, bias: Literal["all", "none"] = "all") -> None:
        super().__init__()
        self.width = width
        self.joint = nn.Linear(width, 3 * width, bias=bias == "all")

    def forward(self, grid: Float[Tensor, "b *t c"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values: views of one product."""
        q, k, v = self.joint(grid).chunk(3, dim=-1)
        return q, k, v

    def project_prefix(self, prefix: Float[Tensor, "b p c"]) -> tuple[Tensor, Tensor, Tensor]:
        """Project the prefix as the grid's tokens are projected."""
        return self(prefix)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count three square matrix products."""
        return 3 * (h * w + prefix) * self.width**2


class SeparableConv2d(nn.Module):
    """A depth-wise convolution, a normalisation and a linear map: a convolution in two steps.

    Args:
        width: Channels.
        kernel_size: Side of the depth-wise filter in tokens; odd. Borders are padded with zeros.
        stride: Distance in tokens between the places of the filter: ceil(h / stride) rows are left.
        bias: Where there are bias terms: on ``all`` maps, on the ``pointwise`` one only, or on ``none``.
        norm: Makes the normalisation in between.

    Shapes:
        grid (b, h, w, width) -> (b, ceil(h / stride), ceil(w / stride), width)

    Raises:
        ValueError: ``kernel_size`` is even.
    """

    def __init__(
        self, width: int, kernel_size: int, stride: int, bias: Literal["all", "pointwise", "none"], norm: NormFactory
    ) -> None:
        padding = same_padding("SeparableProjection", kernel_size)
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel_size, stride, padding, groups=width, bias=bias == "all")
        self.norm = build_norm(norm, width)
        self.pointwise = nn.Linear(width, width, bias=bias != "none")

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c"]:
        """Convolve each channel, normalise, mix the channels."""
        return self.pointwise(normalise(self.norm, on_map(self.depthwise, grid)))


class SeparableProjection(Projection):
    """Three separable convolutions: queries, keys and values that have seen their neighbours.

    With the defaults this is Pale Transformer's projection; with ``reduction=2`` and ``bias="pointwise"`` or ``"none"`` it is
    CvT's. With a kernel whose only tap is 1 in the middle and a norm that does nothing it is ``LinearProjection``.

    Args:
        width: Channels of the grid.
        kernel_size: Side of the depth-wise filters in tokens; odd. Borders are padded with zeros.
        reduction: Key/value subsampling per side: the stride of the depth-wise filters of keys and values.
        bias: Where there are bias terms: on ``all`` maps, on the ``pointwise`` ones only, or on ``none``.
        norm: Makes the normalisations on grids between depth-wise and pointwise.

    Shapes:
        grid (b, h, w, width) -> queries (b, h, w, width), keys and values (b, ceil(h / reduction), ceil(w / reduction), width)
        prefix (b, p, width) -> three times (b, p, width): it bypasses the depth-wise filters and their norms.

    Cost: t * width * (k**2 + width) + 2 * m * width * (k**2 + width) multiply-adds for t = h * w queries and
    m = ceil(h / reduction) * ceil(w / reduction) keys, and 3 * p * width**2 for the prefix.

    Raises:
        ValueError: ``kernel_size`` is even or ``reduction`` is less than 1.

    Source: Wu et al., CvT: Introducing Convolutions to Vision Transformers, ICCV 2021, "Convolutional Projection", the prefix
    as in the public code; Wu et al., Pale Transformer, AAAI 2022, "Efficient Parallel Implementation". The equations of the
    latter project each half of the channels by itself; its parameter counts require all channels at once, as here and in the
    public code.
    """

    def __init__(
        self,
        width: int,
        kernel_size: int = 3,
        reduction: int = 1,
        bias: Literal["all", "pointwise", "none"] = "all",
        norm: NormFactory = GridBatchNorm2d,
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"SeparableProjection: reduction must be at least 1, got reduction={reduction}.")
        self.width, self.kernel_size, self.reduction = width, kernel_size, reduction
        self.q = SeparableConv2d(width, kernel_size, 1, bias, norm)
        self.k = SeparableConv2d(width, kernel_size, reduction, bias, norm)
        self.v = SeparableConv2d(width, kernel_size, reduction, bias, norm)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values."""
        return self.q(grid), self.k(grid), self.v(grid)

    def project_prefix(self, prefix: Float[Tensor, "b p c"]) -> tuple[Tensor, Tensor, Tensor]:
        """Apply only the linear maps."""
        return self.q.pointwise(prefix), self.k.pointwise(prefix), self.v.pointwise(prefix)

    def key_size(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns that the stride leaves."""
        return -(-h // self.reduction), -(-w // self.reduction)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count depth-wise and pointwise products of the three."""
        keys = self.key_size(h, w)
        tokens = h * w + 2 * keys[0] * keys[1]
        return tokens * self.width * (self.kernel_size**2 + self.width) + 3 * prefix * self.width**2

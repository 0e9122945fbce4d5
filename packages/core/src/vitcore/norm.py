"""Normalisations on grids. ``torch.nn.LayerNorm(width)`` needs no version for grids: it acts on the last axis."""

from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import on_map
from vitcore.op import NormFactory


class GridBatchNorm2d(nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d`` for grids: statistics per channel over batch, rows and columns.

    The ops and networks of this project hold it as a ``torch.nn.BatchNorm2d``, see ``build_norm``.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
    """

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Normalise."""
        return on_map(super().forward, grid)


def build_norm(norm: NormFactory, width: int) -> nn.Module:
    """Make the norm of a slot, which ``normalise`` calls.

    A ``GridBatchNorm2d`` becomes torch's own BatchNorm2d with the same parameters and statistics, because libraries that convert,
    freeze or replace BatchNorms put modules in its place that take maps (b, c, h, w).
    """
    made = norm(width)
    if type(made) is GridBatchNorm2d:
        made.__class__ = nn.BatchNorm2d  # type: ignore[assignment]
    return made


def normalise(norm: nn.Module, grid: Float[Tensor, "b *t c"]) -> Float[Tensor, "b *t c"]:
    """Apply a norm to a grid or to tokens.

    A norm with running statistics is torch's BatchNorm2d, or what a library put in its place, and takes maps (b, c, h, w).
    """
    return on_map(norm, grid) if hasattr(norm, "running_mean") and type(norm) is not GridBatchNorm2d else norm(grid)

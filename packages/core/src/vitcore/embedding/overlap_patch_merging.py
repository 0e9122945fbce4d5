"""Overlapping patches of a grid become the tokens of a coarser one, by a strided convolution and a norm."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitcore.convolution import on_map, require_patch, strided_size
from vitcore.embedding.embedding import Embedding
from vitcore.norm import build_norm, normalise
from vitcore.op import NormFactory


class OverlapPatchMerging(Embedding):
    """Map overlapping square patches of a grid to the tokens of a coarser one and normalise them.

    Args:
        in_width: Channels of the finer grid.
        width: Channels of the coarser grid.
        kernel_size: Side of a patch in tokens.
        stride: Distance of neighbouring patches in tokens. 2, with ``kernel_size=2`` and ``padding=0``, is PVT's embedding
            between stages.
        padding: Zeros on each side of the grid, in tokens; None for ``kernel_size // 2``.
        norm: Makes the normalisation of the tokens; ``torch.nn.Identity`` for none.

    Shapes:
        grid (b, H, W, in_width) -> (b, h, w, width), h = (H + 2 * padding - kernel_size) // stride + 1, w likewise; the defaults
        take ceil(H / 2)

    Cost: h * w * kernel_size**2 * in_width * width multiply-adds.

    Raises:
        ValueError: The padded grid is smaller than a patch.

    Source: Wang et al., PVT v2, CVMJ 2022, "Overlapping Patch Embedding"; Dong et al., CSWin Transformer, CVPR 2022, section
    3.1; Wu et al., Pale Transformer, AAAI 2022 (whose unofficial public code has no norm here).
    """

    def __init__(
        self,
        in_width: int,
        width: int,
        kernel_size: int = 3,
        stride: int = 2,
        padding: int | None = None,
        norm: NormFactory = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.reduction = stride
        self.kernel_size, self.padding = kernel_size, kernel_size // 2 if padding is None else padding
        self.projection = nn.Conv2d(in_width, width, kernel_size, stride, self.padding)
        self.norm = build_norm(norm, width)

    def forward(self, grid: Float[Tensor, "b H W c"]) -> Float[Tensor, "b h w d"]:
        """Merge the patches."""
        require_patch("OverlapPatchMerging", grid, self.kernel_size, self.padding)
        if _is_smaller(grid, self.projection.weight):
            grid = grid.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
            return normalise(self.norm, on_map(self.projection, grid).contiguous())
        return normalise(self.norm, on_map(self.projection, grid))

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of the grid of a finer grid of h x w tokens."""
        return strided_size(h, w, self.kernel_size, self.reduction, self.padding)

    def macs(self, h: int, w: int) -> int:
        """Count one matrix product for each patch."""
        return h * w * self.projection.weight.numel()


def _is_smaller(grid: Float[Tensor, "b H W c"], weight: Float[Tensor, "c2 c k k"]) -> bool:
    """Return whether copying the map to the weights' layout is less than copying weights and their gradients to the map's.

    torch does the latter on a CPU. A compiler chooses the layout itself, for every size of the batch.
    """
    return not torch.compiler.is_compiling() and grid.device.type == "cpu" and grid.numel() < weight.numel()

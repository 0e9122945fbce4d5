"""What the public code of LocalViT-T2T builds and never uses: a norm in front of a feed-forward that has its own.

A defect, kept apart for those who want that code's parameters: no gradient reaches them, and weight decay and checkpoints
carry them along.
"""

from torch import Tensor, nn


class IdleLayerNorm(nn.LayerNorm):
    """A layer norm that has its parameters and changes nothing; arguments as ``torch.nn.LayerNorm``.

    Shapes:
        grid (b, h, w, width) -> the same tensor

    Source: the public code of Li et al., LocalViT: Bringing Locality to Vision Transformers, 2021.
    """

    def forward(self, grid: Tensor) -> Tensor:
        """Return the grid."""
        return grid

"""Swin's patch merging: the channels of 2 x 2 tokens side by side, normalised and projected."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from vitcore.embedding.embedding import Embedding
from vitcore.norm import build_norm, normalise
from vitcore.op import NormFactory


def space_to_depth(grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c4"]:
    """Concatenate the channels of each 2 x 2 tokens, in the order (0, 0), (1, 0), (0, 1), (1, 1) of (row, column).

    An odd number of rows or columns is padded with zeros below or to the right.
    """
    h, w = grid.shape[1:3]
    if h % 2 or w % 2:
        grid = pad(grid, (0, 0, 0, w % 2, 0, h % 2))
    return grid.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).permute(0, 1, 3, 4, 2, 5).flatten(3)


def depth_to_space(grid: Float[Tensor, "b h2 w2 c4"], h: int, w: int) -> Float[Tensor, "b h w c"]:
    """Undo ``space_to_depth`` of a grid of h x w tokens."""
    squares = grid.unflatten(3, (2, 2, -1)).permute(0, 1, 4, 2, 3, 5)
    return squares.flatten(3, 4).flatten(1, 2)[:, :h, :w]


class PatchMerging(Embedding):
    """Concatenate 2 x 2 tokens, normalise, and project without a bias.

    Args:
        in_width: Channels of the finer grid.
        width: Channels of the coarser grid; twice ``in_width`` in Swin.
        norm: Makes the normalisation of the 4 * ``in_width`` concatenated channels.

    Shapes:
        grid (b, H, W, in_width) -> (b, ceil(H / 2), ceil(W / 2), width). Odd sizes are padded with zeros below and to the
        right, which take part in the norm: the rule of Swin's detection code; its classification code refuses odd sizes.

    Cost: 4 * h * w * in_width * width multiply-adds for an output of h x w tokens.

    Source: Liu et al., Swin Transformer, ICCV 2021, section 3.1.
    """

    def __init__(self, in_width: int, width: int, norm: NormFactory = nn.LayerNorm) -> None:
        super().__init__()
        self.reduction = 2
        self.norm = build_norm(norm, 4 * in_width)
        self.projection = nn.Linear(4 * in_width, width, bias=False)

    def forward(self, grid: Float[Tensor, "b H W c"]) -> Float[Tensor, "b h w d"]:
        """Merge the tokens."""
        return self.projection(normalise(self.norm, space_to_depth(grid)))

    def map_size(self, h: int, w: int) -> tuple[int, int]:
        """Return the rows and columns of the grid of a finer one of h x w tokens."""
        return -(-h // 2), -(-w // 2)

    def macs(self, h: int, w: int) -> int:
        """Count one matrix product for each token of the output."""
        return h * w * self.projection.weight.numel()

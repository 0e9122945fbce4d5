"""Spatial reduction: every token attends to patches of the map, each of which a strided convolution turns into one key."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from vitcore.attention.whole_map.attention_to_pieces import AttentionToPieces
from vitcore.convolution import on_map
from vitcore.norm import build_norm, normalise
from vitcore.op import NormFactory


class SpatialReductionAttention(AttentionToPieces):
    """Each token attends to the patches of reduction x reduction tokens; each patch is one key.

    A strided convolution and a norm turn each patch into one token. Rows and columns that do not fill a patch are dropped,
    as in the public code; a map that is smaller than a patch, where that code fails, is padded with zeros and gives one
    key. With ``reduction=1`` there is neither convolution nor norm: this is global attention.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        reduction: Key/value subsampling per side.
        norm: Makes the normalisation of the reduced tokens.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)
        prefix (b, p, width) -> (b, p, width): joins queries and keys, in front. Its keys bypass the convolution and share the
        norm. (PVT has a class token only where the reduction is 1; for other reductions this is the rule of MViT's pooling
        attention.)

    Cost: 2 * (t + m) * width**2 + 2 * t * m * width multiply-adds for t = h * w + p queries and m = n + p keys,
    n = floor(h / reduction) * floor(w / reduction), and n * reduction**2 * width**2 of the convolution if there is one.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, or ``reduction`` is less than 1.

    Source: Wang et al., Pyramid Vision Transformer, ICCV 2021, Eqs. 1-4. As in the public code the convolution, the
    projections and the output have biases, and the norm's epsilon is 1e-5.
    """

    def __init__(self, width: int, head_dim: int = 64, reduction: int = 8, norm: NormFactory = nn.LayerNorm) -> None:
        super().__init__(width, head_dim)
        if reduction < 1:
            raise ValueError(f"SpatialReductionAttention: reduction must be at least 1, got reduction={reduction}.")
        self.reduction = reduction
        self.reduce = nn.Conv2d(width, width, reduction, stride=reduction) if reduction > 1 else nn.Identity()
        self.norm = build_norm(norm, width) if reduction > 1 else nn.Identity()

    def pieces(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c"]:
        """Convolve each patch to one token."""
        if self.reduction == 1:
            return grid
        below, right = (max(0, self.reduction - side) for side in grid.shape[1:3])
        return on_map(self.reduce, pad(grid, (0, 0, 0, right, 0, below)) if below or right else grid)

    def finish(self, pieces: Float[Tensor, "b m 1 c"]) -> Float[Tensor, "b m 1 c"]:
        """Normalise."""
        return normalise(self.norm, pieces)

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections, the strided convolution and the two products with the attention matrix."""
        patches = max(1, h // self.reduction) * max(1, w // self.reduction)
        t, m = h * w + prefix, patches + prefix
        convolution = patches * self.reduction**2 * self.width**2 if self.reduction > 1 else 0
        return 2 * (t + m) * self.width**2 + 2 * t * m * self.width + convolution

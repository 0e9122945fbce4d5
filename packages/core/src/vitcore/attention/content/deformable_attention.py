"""Deformable attention: all queries share a few keys, which are sampled where an offset network points."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, grid_sample

from vitcore.attention.dot_product_attention import attend_with_bias
from vitcore.attention.heads import count_heads, merge_heads
from vitcore.convolution import same_padding
from vitcore.op import FeatureOp


def reference_points(h: int, w: int, like: Tensor) -> Float[Tensor, "h w 2"]:
    """Return (row, column) of h x w points, evenly spread, the corners at -1 and 1; a single row or column lies at 0."""
    rows, columns = (
        (2 * torch.arange(n, device=like.device, dtype=like.dtype) - (n - 1)) / max(n - 1, 1) for n in (h, w)
    )
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)


def deform_points(offsets: Float[Tensor, "b h w g 2"], offset_range: float) -> Float[Tensor, "b h w g 2"]:
    """Move the reference points by ``offset_range`` * tanh(offset) half spacings; if it is infinite, freely within [-1, 1]."""
    h, w = offsets.shape[1:3]
    points = reference_points(h, w, offsets)[:, :, None]
    if math.isinf(offset_range):
        return (points + offsets).clamp(-1, 1)
    rows, columns = offsets.tanh().mul(offset_range).unbind(-1)
    return points + torch.stack((rows / max(h - 1, 1), columns / max(w - 1, 1)), dim=-1)


def sample_grid(grid: Float[Tensor, "b h w c"], points: Float[Tensor, "b i j g 2"]) -> Float[Tensor, "b t c"]:
    """Read the map at each group's points by bilinear interpolation; outside the map there are zeros."""
    g = points.shape[3]
    maps = grid.unflatten(-1, (g, -1)).permute(0, 3, 4, 1, 2).flatten(0, 1)
    places = points.permute(0, 3, 1, 2, 4).flatten(0, 1).flip(-1)
    samples = grid_sample(maps.to(points.dtype), places, mode="bilinear", align_corners=True)
    return samples.unflatten(0, (-1, g)).flatten(1, 2).flatten(2).transpose(1, 2).to(grid.dtype)


def displacement_bias(
    table: Float[Tensor, "n th tw"], points: Float[Tensor, "b i j g 2"], h: int, w: int
) -> Float[Tensor, "b n hw ij"]:
    """Read each head's table, which spans displacements of -2 to 2, at the displacement of query and point, for all pairs."""
    g = points.shape[3]
    queries = reference_points(h, w, points).flatten(0, 1).flip(-1)
    # A flip keeps the strides of the permuted points; without a copy everything that follows would inherit them.
    keys = points.permute(3, 0, 1, 2, 4).flatten(2, 3).flip(-1).contiguous()
    displacements = (queries[:, None] - keys[:, :, None]) / 2
    # The batch is folded into the places and not into the tables, so that no table is copied per image.
    tables = table.to(points.dtype).unflatten(0, (g, -1))
    bias = grid_sample(tables, displacements.flatten(1, 2), mode="bilinear", align_corners=True)
    return bias.flatten(0, 1).unflatten(1, (-1, h * w)).transpose(0, 1)


class DeformableAttention(FeatureOp):
    """Each token attends to the same few places of its image, which an offset network chooses from the queries.

    Reference points are spread evenly over the map, one for each ``reduction`` x ``reduction`` tokens. A depth-wise
    convolution (stride ``reduction``) - norm - GELU - linear map on the queries moves each point, per group of heads. Keys and
    values are projections of the map read there by bilinear interpolation, so that a query sees the four tokens around each
    point, and, through the offsets, the tokens under the kernel. A bias for each pair is read between the entries of a table
    of relative positions. With ``reduction=1`` and offsets of zero this is global attention with that table.

    Args:
        width: Channels of the grid.
        head_dim: Channels per head; must divide ``width``. Scores are scaled by head_dim ** -0.5.
        groups: Groups of heads with points of their own; must divide the number of heads. One offset network serves all groups.
        reduction: Distance of neighbouring reference points, in tokens: ceil(h / reduction) * ceil(w / reduction) keys.
        kernel_size: Side of the offset network's filter in tokens; odd. Borders are padded with zeros.
        offset_range: How far a point may move, in halves of the distance between neighbouring points; ``math.inf`` allows any
            place on the map.
        grid_size: Rows and columns for which the table has one entry per displacement; for other sizes it is interpolated.

    Shapes:
        grid (b, h, w, width) -> (b, h, w, width)

    Cost: h * w * 2 * width * (width + n) + n * width * (2 * width + kernel_size**2 + 2) multiply-adds for n keys, and
    4 * n * (width + h * w * heads) elementwise ones for the interpolations.

    Raises:
        ValueError: ``head_dim`` does not divide ``width``, ``groups`` the heads, ``kernel_size`` is even, or ``reduction``,
            ``offset_range`` or ``grid_size`` is not positive.

    Source: Xia et al., Vision Transformer with Deformable Attention, CVPR 2022, section 3.2. The public code spreads its
    reference points from 0.5 to n - 0.5 where the corners of the map are 0 and n - 1, half a token off the paper's; it pads
    nothing if kernel and stride are equal. A single row or column of points, for which it divides by zero, lies in the middle.
    """

    no_weight_decay = ("table",)

    def __init__(
        self,
        width: int,
        head_dim: int = 32,
        groups: int = 1,
        reduction: int = 1,
        kernel_size: int = 5,
        offset_range: float = 2.0,
        grid_size: tuple[int, int] = (14, 14),
    ) -> None:
        super().__init__()
        heads = count_heads("DeformableAttention", width, head_dim)
        if groups < 1 or heads % groups:
            raise ValueError(
                f"DeformableAttention: groups must divide the number of heads, got heads={heads}, groups={groups}."
            )
        if min(reduction, offset_range, *grid_size) <= 0:
            raise ValueError(
                "DeformableAttention: reduction, offset_range and grid_size must be positive, "
                f"got reduction={reduction}, offset_range={offset_range}, grid_size={tuple(grid_size)}."
            )
        self.width, self.head_dim, self.groups = width, head_dim, groups
        self.reduction, self.offset_range = reduction, offset_range
        padding = same_padding("DeformableAttention", kernel_size)
        part = width // groups
        self.query = nn.Linear(width, width)
        self.neighbours = nn.Conv2d(part, part, kernel_size, reduction, padding, groups=part)
        self.offset = nn.Sequential(nn.LayerNorm(part), nn.GELU(), nn.Linear(part, 2, bias=False))
        self.key_value = nn.Linear(width, 2 * width)
        self.table = nn.Parameter(torch.empty(heads, 2 * grid_size[0] - 1, 2 * grid_size[1] - 1))
        self.projection = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        nn.init.trunc_normal_(self.table, std=0.01)

    def forward(self, grid: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Choose the points, read keys and values there, attend."""
        h, w = grid.shape[1:3]
        query = self.query(grid)
        points = deform_points(self._offsets(query), self.offset_range)
        key_value = self.key_value(sample_grid(grid, points)).unflatten(-1, (2, -1, self.head_dim))
        k, v = key_value.permute(2, 0, 3, 1, 4)
        q = query.flatten(1, 2).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        bias = displacement_bias(self.table, points, h, w).to(q.dtype)
        return self.projection(merge_heads(attend_with_bias(q, k, v, bias))).view(grid.shape)

    def _offsets(self, query: Float[Tensor, "b h w c"]) -> Float[Tensor, "b i j g 2"]:
        conv, g = self.neighbours, self.groups
        # One filter for all groups: repeating the small weight saves moving the groups of the map into the batch.
        weight, bias = conv.weight.repeat(g, 1, 1, 1), None if conv.bias is None else conv.bias.repeat(g)
        near = conv2d(query.permute(0, 3, 1, 2), weight, bias, conv.stride, conv.padding, groups=self.width)
        offsets = self.offset(near.permute(0, 2, 3, 1).unflatten(-1, (g, -1)))
        # With eight bits of mantissa a point of a 56 x 56 map would be off by a quarter of a token.
        return offsets.to(torch.promote_types(offsets.dtype, torch.float32))

    def macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count projections, the offset network and the two products with the attention matrix."""
        n, width = self._keys(h, w), self.width
        kernel = self.neighbours.kernel_size[0] * self.neighbours.kernel_size[1]
        return 2 * h * w * width * (width + n) + n * width * (2 * width + kernel + 2)

    def elementwise_macs(self, h: int, w: int, prefix: int = 0) -> int:
        """Count the four terms of each interpolation, of the map and of the table."""
        return 4 * self._keys(h, w) * (self.width + h * w * (self.width // self.head_dim))

    def _keys(self, h: int, w: int) -> int:
        return math.ceil(h / self.reduction) * math.ceil(w / self.reduction)

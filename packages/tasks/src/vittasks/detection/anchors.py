"""Anchors as in the papers' recipes, with exact sides and the stride of their level, and how they are matched to objects."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

RATIOS = (0.5, 1.0, 2.0)
"""Heights over widths of the anchors of RetinaNet and Mask R-CNN."""


class ExactAnchors(AnchorGenerator):
    """Anchors with unrounded sides, whose centres are a level's stride apart.

    torchvision rounds corners to whole pixels. Its stride is the image's size divided by the map's, which is too small where
    the size of the map was rounded up.

    Args:
        strides: The stride of each level, in pixels.
        sizes: Sides of the square anchors of each level, in pixels.
        ratios: Heights over widths; every size comes in every ratio, at equal area.

    Source: mmdetection's ``AnchorGenerator``.
    """

    def __init__(self, strides: Sequence[int], sizes: Sequence[Sequence[float]], ratios: Sequence[float]) -> None:
        super().__init__(tuple(tuple(one) for one in sizes), (tuple(ratios),) * len(sizes))
        self.strides = list(strides)
        self.cell_anchors = [exact_cell(one, ratios) for one in sizes]

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Return the anchors (n, 4) of each image, level by level: left, top, right, bottom."""
        first = feature_maps[0]
        self.set_cell_anchors(first.dtype, first.device)
        steps = [[torch.tensor(stride, device=first.device)] * 2 for stride in self.strides]
        anchors = self.grid_anchors([list(one.shape[-2:]) for one in feature_maps], steps)
        return [torch.cat(anchors) for _ in image_list.image_sizes]


def rounded_anchors(sizes: Sequence[Sequence[float]]) -> AnchorGenerator:
    """Return torchvision's anchors: their sides, given for each level, and their corners are whole pixels."""
    whole = tuple(tuple(int(one) for one in level) for level in sizes)
    return AnchorGenerator(whole, (RATIOS,) * len(whole))


def exact_cell(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Return the anchors (n, 4) of one place: those of all sizes in the first ratio, then in the second, and so on."""
    side, ratio = torch.tensor(sizes, dtype=torch.float64), torch.tensor(ratios, dtype=torch.float64).sqrt()
    widths, heights = (side / ratio[:, None]).flatten(), (side * ratio[:, None]).flatten()
    return torch.stack([-widths, -heights, widths, heights], dim=1) / 2


class GreedyMatcher(Matcher):
    """Each object takes all anchors that overlap it best, even those that overlap another object more; later objects win.

    torchvision gives such an anchor to the object that it overlaps most, and has no lower limit.

    Args:
        positive: An anchor whose intersection over union with an object is at least this is matched to it.
        negative: An anchor whose intersection over union with every object is below this is background.
        lowest: An object whose best intersection over union is below this takes no anchor.

    Source: mmdetection's ``MaxIoUAssigner``.
    """

    def __init__(self, positive: float, negative: float, lowest: float = 0.0) -> None:
        super().__init__(positive, negative, allow_low_quality_matches=True)
        self.lowest = lowest

    def set_low_quality_matches_(self, matches: Tensor, all_matches: Tensor, match_quality_matrix: Tensor) -> None:
        """Change ``matches`` in place, given the overlaps (objects, anchors)."""
        for number, overlaps in enumerate(match_quality_matrix):
            best = overlaps.max()
            if best >= self.lowest:
                matches[overlaps == best] = number

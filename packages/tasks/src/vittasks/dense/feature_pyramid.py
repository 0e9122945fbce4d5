"""The feature pyramid (FPN): maps of one width, each with information from the coarser ones."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from vitmodels.skeletons.initial import InitialWeights, draw_seed, initialise


class ConvolvedLevels(ExtraFPNBlock):
    """Two further levels: a 3 x 3 convolution with stride 2 on the backbone's coarsest map, and another on its result.

    Args:
        width: Channels of the backbone's coarsest map.
        channels: Channels of the feature pyramid.
        source: What the first one reads: the coarsest map of the ``backbone``, or the coarsest ``level`` of the feature pyramid.
        activation: Makes the activation between the two.

    Source: RetinaNet as mmdetection's recipes build it. torchvision's ``LastLevelP6P7`` reads the feature pyramid instead where
    ``width`` equals ``channels``, and has a ReLU between the two convolutions.
    """

    def __init__(
        self,
        width: int,
        channels: int,
        source: Literal["backbone", "level"] = "backbone",
        activation: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        self.source = source
        self.p6 = nn.Conv2d(channels if source == "level" else width, channels, 3, stride=2, padding=1)
        self.activation = activation()
        self.p7 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Append both levels to the results and their names to the names."""
        p6 = self.p6((results if self.source == "level" else x)[-1])
        return [*results, p6, self.p7(self.activation(p6))], [*names, "p6", "p7"]


class FeaturePyramid(FeaturePyramidNetwork):
    """torchvision's feature pyramid with the initial weights of the papers' recipes.

    1 x 1 and 3 x 3 convolutions with biases, no norm and no activation; the coarser map is added to the finer one, each of its
    values repeated to the finer map's size.

    Args:
        widths: Channels of the backbone's maps.
        channels: Channels of every level.
        extra_levels: Adds coarser levels.
        weights: Draws the initial weights of a convolution; None for ``xavier_weights``.

    Shapes:
        name -> map (b, width, h, w), finest first -> name -> level (b, channels, h, w)

    Source: Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017, Fig. 3. Xavier's uniform initial weights as in
    mmdetection.
    """

    def __init__(
        self,
        widths: Sequence[int],
        channels: int,
        extra_levels: ExtraFPNBlock | None = None,
        weights: InitialWeights | None = None,
    ) -> None:
        super().__init__(list(widths), channels, extra_levels)
        initialise(self, draw_seed(), weights or xavier_weights)

    def levels(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the levels of maps that are given as a list, finest first."""
        return list(self({str(number): one for number, one in enumerate(maps)}).values())


@torch.no_grad()
def xavier_weights(module: nn.Module) -> None:
    """Xavier's uniform weights for convolutions, zero for their biases."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def he_weights(module: nn.Module) -> None:
    """He's uniform weights with gain 1 for convolutions, zero for their biases, as torchvision draws them."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight, a=1)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

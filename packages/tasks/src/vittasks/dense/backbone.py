"""A pyramid as the backbone of a segmentation network or a detector."""

from collections.abc import Sequence

from torch import Tensor, nn

from vitcore import NormFactory
from vitcore.norm import build_norm, normalise


class DenseBackbone(nn.Module):
    """The maps of a pyramid, each with a norm of its own if ``norm`` makes one.

    Class tokens are removed, with their positions: the public detectors of PVT have none, and the last map differs by a tenth
    with one. The classifier's norm and head are removed, and every layer after the last map that is read.

    Args:
        pyramid: A model with timm's ``forward_intermediates`` and ``feature_info``, such as any pyramid of vitmodels.
        levels: Which maps are read, counted from the finest, which is 0.
        norm: Makes the normalisation of each map, for (width): ``torch.nn.LayerNorm`` as in the public segmentors and detectors
            of Swin and CSWin, ``torch.nn.Identity`` for PVT and for stages that end in a norm of their own. The next stage reads
            the map without it.

    Attributes:
        widths: Channels of each map.
        strides: Pixels between two places of each map.

    Shapes:
        image (b, in_chans, H, W) -> [(b, width, h, w), ...], finest first

    Raises:
        ValueError: The model returns no maps, or there is no such level.
    """

    def __init__(
        self, pyramid: nn.Module, levels: Sequence[int] = (0, 1, 2, 3), norm: NormFactory = nn.Identity
    ) -> None:
        super().__init__()
        info = getattr(pyramid, "feature_info", None)
        if info is None or not hasattr(pyramid, "forward_intermediates"):
            raise ValueError(
                f"DenseBackbone: {type(pyramid).__name__} gives no maps; choose a model with feature_info and "
                "forward_intermediates, such as vitmodels.pvtv2_b0."
            )
        if not levels or list(levels) != sorted(set(levels)) or not set(levels) <= set(range(len(info))):
            raise ValueError(
                f"DenseBackbone: levels must rise within 0..{len(info) - 1}, since {type(pyramid).__name__} has {len(info)} "
                f"maps, got levels={tuple(levels)}."
            )
        self.levels = list(levels)
        self.widths = [int(info[level]["num_chs"]) for level in self.levels]
        self.strides = [int(info[level]["reduction"]) for level in self.levels]
        if hasattr(pyramid, "drop_class_tokens"):
            pyramid.drop_class_tokens()  # type: ignore[operator]
        pyramid.prune_intermediate_layers(self.levels, prune_norm=True, prune_head=True)  # type: ignore[operator]
        self.pyramid = pyramid
        self.norms = nn.ModuleList(build_norm(norm, width) for width in self.widths)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps."""
        maps = self.pyramid.forward_intermediates(  # type: ignore[operator]
            image, indices=self.levels, intermediates_only=True, stop_early=True
        )
        return [
            normalise(norm, one.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            for norm, one in zip(self.norms, maps, strict=True)
        ]

"""Shuffle Transformer on the Pyramid skeleton: windows of near tokens and windows of tokens spread over the map.

How the paper maps to the slots: ``mixer`` is window attention without biases in front, ``alternate`` shuffled window
attention; ``content_mixer`` holds the neighbour-window connection, a depth-wise 7 x 7 convolution on the sum, without norm;
``feed_forward`` is an MLP with ReLU6. All norms are BatchNorm. ``downsample`` is a stem of two 3 x 3 convolutions with
BatchNorm and ReLU6 and a 1 x 1 convolution, then 2 x 2 patches; the BatchNorm in front of them is the ``norm`` that ends
a stage.

The stem's first convolution has half of the first stage's width here. The configurations are those of the paper; details
that the paper leaves open follow a port of the public code to another framework.

Source: Huang et al., Shuffle Transformer: Rethinking Spatial Shuffle for Vision Transformer, 2021.
"""

from typing import Any

from vitmodels.presets.swin import DEEP, TINY
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.pyramid import pyramid
from vitmodels.skeletons.timm_interface import preset

BATCH_NORM = "vitcore.GridBatchNorm2d"


def batch_norm_branch(op: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a branch with BatchNorm in front."""
    return {"op": op, "norm": BATCH_NORM, "drop_path_scale": 1.0}


def _windows(name: str) -> dict[str, Any]:
    return batch_norm_branch(part(f"vitcore.{name}", window=7, head_dim=32, bias="projection"))


def shuffle_stages(width: int, depths: tuple[int, ...]) -> dict[str, Any]:
    """Return the four stages."""
    stem = part("vitcore.ConvStem", layers=2, last="pointwise", activation="torch.nn.ReLU6")
    patches = part("vitcore.OverlapPatchMerging", kernel_size=2, stride=2, padding=0, norm="torch.nn.Identity")
    neighbours = part("vitcore.ConditionalPosition", kernel_size=7)
    return {
        f"stage{i}": {
            "mixer": _windows("WindowAttention"),
            "content_mixer": {"op": neighbours, "norm": "torch.nn.Identity", "drop_path_scale": 0.0},
            "feed_forward": batch_norm_branch(part("vitcore.Mlp", ratio=4.0, activation="torch.nn.ReLU6")),
            "width": width * 2 ** (i - 1),
            "depth": depth,
            "downsample": patches if i > 1 else stem,
            "alternate": {"mixer": _windows("ShuffledWindowAttention")},
            "norm": BATCH_NORM if i < len(depths) else "torch.nn.Identity",
        }
        for i, depth in enumerate(depths, 1)
    }


def _shuffle(size: str, width: int, depths: tuple[int, ...], top1: str) -> Any:
    description = f"Shuffle Transformer {size[0].upper()} ({top1} % top-1 published)."
    stages = shuffle_stages(width, depths)
    return preset(
        f"shuffle_{size}",
        pyramid,
        description,
        norm=BATCH_NORM,
        first_conv="stages.0.downsample.layers.0.0",
        **stages,
    )


shuffle_tiny = _shuffle("tiny", 96, TINY, "82.5")
shuffle_small = _shuffle("small", 96, DEEP, "83.5")
shuffle_base = _shuffle("base", 128, DEEP, "84.0")

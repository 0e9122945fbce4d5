"""MSG-Transformer on the MessengerPyramid skeleton: windows whose messenger tokens travel through the network beside the map.

How the paper maps to the slots: ``mixer`` is messenger attention, in which window and messenger attend jointly,
``content_mixer`` the exchange among the messengers of a region (no norm, no stochastic depth), ``feed_forward`` an MLP on map
and messengers. ``downsample`` overlaps (7 x 7 with stride 4, then 3 x 3 with stride 2: the published parameters ask for it). The
head reads the average of the map. The epsilon of the norms is 1e-5.

Source: Fang et al., MSG-Transformer: Exchanging Local Spatial Information by Manipulating Messenger Tokens, CVPR 2022.
"""

from typing import Any

from vitmodels.presets.pale import overlapping
from vitmodels.presets.swin import LAYER_NORM, MLP_BRANCH
from vitmodels.skeletons.messenger_pyramid import messenger_pyramid
from vitmodels.skeletons.parts import part
from vitmodels.skeletons.timm_interface import preset

WINDOW = 7


def msg_stages(width: int, depths: tuple[int, ...], shuffles: tuple[int, ...] = (4, 4, 2, 1)) -> dict[str, Any]:
    """Return the four stages; ``shuffles`` are the sides of their regions in windows."""
    stages = {}
    for i, (depth, shuffle) in enumerate(zip(depths, shuffles, strict=True), 1):
        attention = part("vitcore.MessengerAttention", window=WINDOW, shuffle=shuffle, head_dim=32, messengers="prefix")
        exchange = part("vitcore.MessengerExchange", window=WINDOW, shuffle=shuffle)
        stages[f"stage{i}"] = {
            "mixer": {"op": attention, "norm": LAYER_NORM, "drop_path_scale": 1.0},
            "content_mixer": {"op": exchange, "norm": "torch.nn.Identity", "drop_path_scale": 0.0},
            "feed_forward": MLP_BRANCH,
            "width": width * 2 ** (i - 1),
            "depth": depth,
            "downsample": overlapping(i, LAYER_NORM),
            "prefix_tokens": int(i == 1),
        }
    return stages


def _msg(size: str, width: int, depths: tuple[int, ...], top1: str) -> Any:
    description = f"MSG-Transformer-{size[0].upper()} ({top1} % top-1 published)."
    return preset(f"msg_{size}", messenger_pyramid, description, **msg_stages(width, depths))


msg_tiny = _msg("tiny", 64, (2, 4, 12, 4), "82.4")
msg_small = _msg("small", 96, (2, 4, 12, 4), "83.4")
msg_base = _msg("base", 96, (2, 4, 28, 4), "84.0")

"""Parameters of whole models by hand, from a resolved configuration: nothing here imports an op or a model."""

from collections.abc import Callable
from typing import Any

Arguments = dict[str, Any]
SLOTS = ("position", "mixer", "content_mixer", "feed_forward")


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def attention(c: int) -> int:
    """Queries, keys, values and output, with biases."""
    return 4 * linear(c, c)


def depthwise(c: int, kernel_size: int) -> int:
    return c * kernel_size**2 + c


def window(c: int, a: Arguments) -> int:
    heads = c // a["head_dim"]
    return attention(c) - (3 * c if a["bias"] == "projection" else 0) + heads * (2 * a["window"] - 1) ** 2


def messenger(c: int, a: Arguments) -> int:
    return window(c, a) + c // a["head_dim"] + c


def slide(c: int, a: Arguments) -> int:
    places, d = a["kernel_size"] ** 2, a["head_dim"]
    filters = {"fixed": 0, "learned": places**2 * d + places * d, "both": places**2 * d + 2 * places * d}
    return attention(c) + c // d * places + filters[a["shift"]]


def neighborhood(c: int, a: Arguments) -> int:
    return attention(c) + c // a["head_dim"] * (2 * a["kernel_size"] - 1) ** 2


def cross(c: int, a: Arguments) -> int:
    return attention(c) + depthwise(c, a["kernel_size"])


def projected(c: int, a: Arguments) -> int:
    kind = class_name(a["projection"])
    # Separable: a 3 x 3 filter, its bias and a norm for each channel, and then the linear map.
    before = {"LinearProjection": 0, "SeparableProjection": 3 * (depthwise(c, 3) + 2 * c)}
    return before[kind] + attention(c)


def axial(c: int, a: Arguments) -> int:
    return attention(c) + (3 * linear(c, c) if a["order"] == "sequential" else 0)


def position_sensitive(c: int, a: Arguments) -> int:
    return 2 * (linear(c, 2 * c) + (2 * a["span"] - 1) * 2 * a["head_dim"]) + linear(c, c)


def cluster(c: int, a: Arguments) -> int:
    return attention(c) + depthwise(c, 3)


def strided(c: int, a: Arguments) -> int:
    return attention(c) + (a["reduction"] ** 2 * c * c + c + 2 * c if a["reduction"] > 1 else 0)


def pooled(c: int, a: Arguments) -> int:
    return attention(c) + (linear(c, c) + 2 * c if a["after_pooling"] == "convolution" else 0)


def deformable(c: int, a: Arguments) -> int:
    part, (rows, columns) = c // a["groups"], a["grid_size"]
    offsets = depthwise(part, a["kernel_size"]) + 2 * part + 2 * part
    return attention(c) + offsets + c // a["head_dim"] * (2 * rows - 1) * (2 * columns - 1)


def mlp(c: int, a: Arguments) -> int:
    hidden = int(a["ratio"] * c)
    return linear(c, hidden) + linear(hidden, c)


def convolutional(c: int, a: Arguments) -> int:
    return mlp(c, a) + depthwise(int(a["ratio"] * c), a["kernel_size"])


def locality(c: int, a: Arguments) -> int:
    """Three convolutions without biases, a BatchNorm behind each, and the gate."""
    hidden, gate = int(a["ratio"] * c), a["channel_attention"]
    filters = 2 * c * hidden + hidden * a["kernel_size"] ** 2 + 2 * (2 * hidden + c)
    if class_name(gate) == "Identity":
        return filters
    units = hidden // gate["init_args"]["reduction"]
    return filters + linear(hidden, units) + linear(units, hidden)


OPS: dict[str, Callable[[int, Arguments], int]] = {
    "Nothing": lambda c, a: 0,
    "WindowAttention": window,
    "ShuffledWindowAttention": window,
    "MessengerAttention": messenger,
    "SlideAttention": slide,
    "NeighborhoodAttention": neighborhood,
    "CrossWindowAttention": cross,
    "PaleAttention": projected,
    "VanillaPaleAttention": projected,
    "ProjectedAttention": projected,
    "AxialAttention": axial,
    "PositionSensitiveAxialAttention": position_sensitive,
    "ClusterAttention": cluster,
    "KMeansAttention": cluster,
    "SpatialReductionAttention": strided,
    "PooledReductionAttention": pooled,
    "DeformableAttention": deformable,
    "GlobalAttention": lambda c, a: attention(c),
    "ConditionalPosition": lambda c, a: depthwise(c, a["kernel_size"]),
    "Mlp": mlp,
    "ConvolutionalFeedForward": convolutional,
    "LocalityFeedForward": locality,
}


def class_name(part: Any) -> str:
    path: str = part["class_path"]
    return path.rpartition(".")[2]


def norm_parameters(part: Any, c: int) -> int:
    return 2 * c if class_name(part) == "LayerNorm" else 0


def branch_parameters(branch: Any, c: int) -> int:
    kind = class_name(branch["op"])
    own = OPS[kind](c, branch["op"].get("init_args", {}))
    return own + (0 if kind == "Nothing" else norm_parameters(branch["norm"], c))


def block_parameters(stage: Any, c: int, index: int) -> int:
    """Those of a stage's block number ``index`` from 0; every second one holds what ``alternate`` says."""
    instead = (stage.get("alternate") or {}) if index % 2 else {}
    return sum(branch_parameters(instead.get(slot) or stage[slot], c) for slot in SLOTS)


def pyramid_parameters(backbone: Any) -> int:
    """Those of a hierarchical model."""
    total, before, side = 0, backbone["in_chans"], backbone["img_size"]
    for stage in (backbone[f"stage{i}"] for i in (1, 2, 3, 4)):
        c, prefix, make = stage["width"], stage["prefix_tokens"], stage["downsample"].get("init_args", {})
        if class_name(stage["downsample"]) == "PatchMerging":
            side = -(-side // 2)
            total += 4 * before * c + norm_parameters(make["norm"], 4 * before)
        else:
            kernel_size, padding = make["kernel_size"], make["padding"]
            padding = kernel_size // 2 if padding is None else padding
            side = (side + 2 * padding - kernel_size) // make["stride"] + 1
            total += linear(kernel_size**2 * before, c) + norm_parameters(make["norm"], c)
        if class_name(stage["absolute_position"]) == "AbsolutePosition":
            total += (side**2 + prefix) * c
        total += prefix * c + norm_parameters(stage["norm"], c)
        total += sum(block_parameters(stage, c, index) for index in range(stage["depth"]))
        before = c
    return total + norm_parameters(backbone["norm"], before) + linear(before, backbone["num_classes"])


def column_parameters(backbone: Any) -> int:
    """Those of an isotropic model whose depth is a multiple of three."""
    c, prefix, depth = backbone["width"], backbone["prefix_tokens"], backbone["depth"]
    patch = backbone["stem"]["init_args"]["patch_size"]
    tokens = (backbone["img_size"] // patch) ** 2 + 2 * prefix
    blocks = sum(block_parameters(backbone[f"stage{i}"], c, 0) for i in (1, 2, 3)) * depth // 3
    around = linear(patch**2 * backbone["in_chans"], c) + tokens * c
    return around + blocks + norm_parameters(backbone["norm"], c) + linear(c, backbone["num_classes"])


def parameters(backbone: Any) -> int:
    """Those of a resolved backbone of either kind."""
    arguments = backbone["init_args"]
    return pyramid_parameters(arguments) if "stage4" in arguments else column_parameters(arguments)

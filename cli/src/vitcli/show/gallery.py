"""The ops side by side: which ones, with which arguments, in which families. Small numbers, so that a small map shows them."""

from dataclasses import dataclass, field
from typing import Any

LINEAR = {"class_path": "vitcore.LinearProjection"}
HALVED = {"class_path": "vitcore.SeparableProjection", "init_args": {"reduction": 2}}


@dataclass(frozen=True, eq=False)
class Example:
    """An op of vitcore and the arguments that it is drawn with."""

    op: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def details(self) -> list[str]:
        """The arguments as text, such as ``window=4``; of a part its class and its arguments."""
        return [text for name, value in self.arguments.items() for text in written(name, value)]

    @property
    def file(self) -> str:
        """The name of its picture: the op's and, for what is not the first of an op, the arguments that differ."""
        same = [example for examples in (*FAMILIES.values(), MORE) for example in examples if example.op == self.op]
        if self == same[0]:
            return f"{self.op}.png"
        changed = {k: v for k, v in self.arguments.items() if same[0].arguments.get(k) != v}
        texts = [text for name, value in changed.items() for text in written(name, value)]
        return "_".join([self.op, *texts]).replace("=", "_") + ".png"


def written(name: str, value: Any) -> list[str]:
    """Return an argument as text: ``name=value``, or of a part its class and what it is given."""
    if not isinstance(value, dict) or "class_path" not in value:
        return [f"{name}={value}"]
    inner = [text for key, one in (value.get("init_args") or {}).items() for text in written(key, one)]
    return [str(value["class_path"].rpartition(".")[2]), *inner]


FAMILIES: dict[str, tuple[Example, ...]] = {
    "the whole map": (
        Example("GlobalAttention"),
        Example("SpatialReductionAttention", {"reduction": 4}),
        Example("PooledReductionAttention", {"pool_size": 4}),
        Example("ProjectedAttention", {"projection": HALVED}),
    ),
    "feed-forwards": (
        Example("LocalityFeedForward"),
        Example("LocalityFeedForward", {"channel_attention": {"class_path": "vitcore.SqueezeExcite"}}),
    ),
    "neighbourhoods": (
        Example("SlideAttention", {"kernel_size": 3}),
        Example("NeighborhoodAttention", {"kernel_size": 5}),
        Example("NeighborhoodAttention", {"kernel_size": 5, "dilation": 2}),
    ),
    "content": (
        Example("ClusterAttention", {"head_dim": 64, "cluster_size": 64, "overlap": 16}),
        Example("KMeansAttention", {"head_dim": 64, "cluster_size": 64}),
        Example("DeformableAttention", {"reduction": 4, "kernel_size": 3}),
    ),
    "windows": (
        Example("WindowAttention", {"window": 4}),
        Example("WindowAttention", {"window": 4, "shift": 2}),
        Example("ShuffledWindowAttention", {"window": 4}),
        Example("MessengerAttention", {"window": 4, "shuffle": 2}),
    ),
    "pales": (
        Example("PaleAttention", {"pale": 4, "projection": LINEAR}),
        Example("VanillaPaleAttention", {"pale": 4, "projection": LINEAR}),
    ),
    "crosses": (
        Example("CrossWindowAttention", {"stripe": 2}),
        Example("AxialAttention", {"order": "parallel"}),
        Example("AxialAttention", {"order": "sequential"}),
        Example("PositionSensitiveAxialAttention", {"span": 5}),
    ),
}
"""The families of the figure, in an order in which they fill rows of six."""

MORE = (
    Example("SeparateAttention"),
    Example("TokenAttention"),
    Example("PerformerAttention"),
    Example("ConvolutionalFeedForward"),
    Example("ConditionalPosition"),
    Example("SqueezeExcite"),
    Example("EffectiveSqueezeExcite"),
    Example("EfficientChannel"),
    Example("GlobalResponseNorm"),
)
"""Ops that look like one of the figure; they have a picture of their own, not a place in it."""

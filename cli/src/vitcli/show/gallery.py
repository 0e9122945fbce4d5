"""The ops that are drawn, with their arguments, by room. The arguments are small, so that a small map shows their effect."""

from dataclasses import dataclass, field
from typing import Any

import vitcore

LINEAR = {"class_path": "vitcore.LinearProjection"}
HALVED = {"class_path": "vitcore.SeparableProjection", "init_args": {"reduction": 2}}


@dataclass(frozen=True, eq=False)
class Example:
    """An op of vitcore and the arguments that it is drawn with."""

    op: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def details(self) -> list[str]:
        """The arguments as text, such as ``window=4``; a part becomes its class and its arguments."""
        return [text for name, value in self.arguments.items() for text in argument_texts(name, value)]

    @property
    def file(self) -> str:
        """The name of the picture: the op and, after the op's first example, the arguments that differ from the first."""
        same = [example for example in examples() if example.op == self.op]
        if self == same[0]:
            return f"{self.op}.png"
        changed = {k: v for k, v in self.arguments.items() if same[0].arguments.get(k) != v}
        texts = [text for name, value in changed.items() for text in argument_texts(name, value)]
        return "_".join([self.op, *texts]).replace("=", "_") + ".png"


def argument_texts(name: str, value: Any) -> list[str]:
    """Return an argument as texts: ``name=value``, or for a part its class and its arguments."""
    if not isinstance(value, dict) or "class_path" not in value:
        return [f"{name}={value}"]
    inner = [text for key, one in (value.get("init_args") or {}).items() for text in argument_texts(key, one)]
    return [str(value["class_path"].rpartition(".")[2]), *inner]


FAMILIES: dict[str, tuple[Example, ...]] = {
    "whole map": (
        Example("GlobalAttention"),
        Example("SpatialReductionAttention", {"reduction": 4}),
        Example("PooledReductionAttention", {"pool_size": 4}),
        Example("ProjectedAttention", {"projection": HALVED}),
    ),
    "neighborhood": (
        Example("SlideAttention", {"kernel_size": 3}),
        Example("NeighborhoodAttention", {"kernel_size": 5}),
        Example("NeighborhoodAttention", {"kernel_size": 5, "dilation": 2}),
    ),
    "content": (
        Example("ClusterAttention", {"head_dim": 64, "cluster_size": 64, "overlap": 16}),
        Example("KMeansAttention", {"head_dim": 64, "cluster_size": 64}),
        Example("DeformableAttention", {"reduction": 4, "kernel_size": 3}),
    ),
    "stripes": (
        Example("CrossWindowAttention", {"stripe": 2}),
        Example("AxialAttention", {"order": "parallel"}),
        Example("AxialAttention", {"order": "sequential"}),
        Example("PositionSensitiveAxialAttention", {"span": 5}),
        Example("PaleAttention", {"pale": 4, "projection": LINEAR}),
        Example("VanillaPaleAttention", {"pale": 4, "projection": LINEAR}),
    ),
    "windows": (
        Example("WindowAttention", {"window": 4}),
        Example("WindowAttention", {"window": 4, "shift": 2}),
        Example("ShuffledWindowAttention", {"window": 4}),
        Example("MessengerAttention", {"window": 4, "shuffle": 2}),
    ),
    "feed-forward": (
        Example("LocalityFeedForward"),
        Example("LocalityFeedForward", {"channel_attention": {"class_path": "vitcore.SqueezeExcite"}}),
    ),
}
"""The families of the figure: the rooms of vitcore, in the order of docs/ops.md, which fills rows of six."""

MORE = (
    Example("ConvolutionalFeedForward"),
    Example("SqueezeExcite"),
    Example("EffectiveSqueezeExcite"),
    Example("EfficientChannel"),
    Example("GlobalResponseNorm"),
    Example("ConditionalPosition"),
)
"""Ops that look like one of the figure: each has a picture, but no place in the figure."""


def examples() -> list[Example]:
    """Return all that is drawn: the examples above, and with its default arguments every attention that is not among them."""
    named = [*(example for family in FAMILIES.values() for example in family), *MORE]
    others = {name for name in vitcore.__all__ if name.endswith("Attention")} - {example.op for example in named}
    return [*named, *map(Example, sorted(others))]


def drawn_with(op: type) -> dict[str, Any]:
    """Return the arguments that an op is drawn with first, at which a small map shows its effect; none for an op of others."""
    return next((one.arguments for one in examples() if getattr(vitcore, one.op) is op), {})

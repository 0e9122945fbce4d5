"""Every op of vitcore with small arguments: what the general checks run over. A new op adds its line here."""

import functools
from dataclasses import dataclass, field

from torch import nn

from vitcore import (
    EfficientChannel,
    GlobalAttention,
    LocalityFeedForward,
    Mlp,
    Nothing,
    OpFactory,
    SqueezeExcite,
)


@dataclass(frozen=True)
class Case:
    """One op to check: ``make(width)`` builds it; ``prefix`` is the number of prefix tokens that it has a rule for."""

    name: str
    make: OpFactory
    prefix: int = 0
    sizes: tuple[tuple[int, int], ...] = ((7, 5), (8, 8), (1, 1))
    width: int = 16
    exports: tuple[str, ...] = field(default=("compile", "export", "onnx"))


def case(name: str, op: type, *, prefix: int = 0, exports=("compile", "export", "onnx"), **arguments) -> Case:
    return Case(name, functools.partial(op, **arguments), prefix=prefix, exports=exports)


CASES = [
    case("global", GlobalAttention, head_dim=8, prefix=1),
    case("global_projection_bias", GlobalAttention, head_dim=8, bias="projection"),
    case("mlp", Mlp, prefix=2),
    case("nothing", Nothing, prefix=1),
    case("locality", LocalityFeedForward, prefix=1),
    case("locality_none", LocalityFeedForward, placement="none", activation=nn.ReLU6),
    case("locality_first_5", LocalityFeedForward, placement="first", kernel_size=5),
    case("locality_se", LocalityFeedForward, channel_attention=functools.partial(SqueezeExcite, reduction=8)),
    case("locality_eca", LocalityFeedForward, channel_attention=EfficientChannel),
    case("squeeze_excite", SqueezeExcite),
    case("efficient_channel", EfficientChannel, gate=nn.Hardsigmoid),
]

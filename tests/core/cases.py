"""Every op of vitcore with small arguments, for the general checks. A new op adds its line here."""

import functools
import math
from dataclasses import dataclass, field

from torch import nn

from vitcore import (
    AbsolutePositionBias,
    AxialAttention,
    ClusterAttention,
    ConditionalPosition,
    ContinuousPositionBias,
    ConvolutionalFeedForward,
    CrossWindowAttention,
    DeformableAttention,
    EffectiveSqueezeExcite,
    EfficientChannel,
    GlobalAttention,
    GlobalResponseNorm,
    KMeansAttention,
    LinearProjection,
    LocalityFeedForward,
    MessengerAttention,
    MessengerExchange,
    Mlp,
    NeighborhoodAttention,
    NoPosition,
    Nothing,
    OpFactory,
    PaleAttention,
    PooledReductionAttention,
    PositionSensitiveAxialAttention,
    ProjectedAttention,
    SeparableProjection,
    SeparateAttention,
    ShuffledWindowAttention,
    SinusoidalPosition,
    SlideAttention,
    SpatialReductionAttention,
    SqueezeExcite,
    VanillaPaleAttention,
    WindowAttention,
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
    case("global_narrow_queries", GlobalAttention, head_dim=8, query_width=8, prefix=1),
    case("mlp", Mlp, prefix=2),
    case("nothing", Nothing, prefix=1),
    case("locality", LocalityFeedForward, prefix=1),
    case("locality_none", LocalityFeedForward, placement="none", activation=nn.ReLU6),
    case("locality_first_5", LocalityFeedForward, placement="first", kernel_size=5),
    case("locality_se", LocalityFeedForward, channel_attention=functools.partial(SqueezeExcite, reduction=8)),
    case("locality_eca", LocalityFeedForward, channel_attention=EfficientChannel),
    case("squeeze_excite", SqueezeExcite),
    case("efficient_channel", EfficientChannel, gate=nn.Hardsigmoid),
    case("convolutional_feed_forward", ConvolutionalFeedForward),
    case("convolutional_feed_forward_linear", ConvolutionalFeedForward, ratio=2.0, activation_before=nn.ReLU),
    case("conditional_position", ConditionalPosition, kernel_size=5, prefix=1),
    case("sinusoidal_raster", SinusoidalPosition, prefix=2),
    case("sinusoidal_rows_and_columns", SinusoidalPosition, form="rows_and_columns", prefix=1),
    case("effective_squeeze", EffectiveSqueezeExcite),
    case("response_norm", GlobalResponseNorm),
    case("locality_response_norm", LocalityFeedForward, channel_attention=GlobalResponseNorm),
    case("separate", SeparateAttention, head_dim=8, prefix=1),
    case("deformable", DeformableAttention, head_dim=4, groups=2, grid_size=(8, 8)),
    Case(
        "deformable_reduced",
        functools.partial(
            DeformableAttention, head_dim=8, reduction=4, kernel_size=3, offset_range=math.inf, grid_size=(4, 5)
        ),
        sizes=((9, 14), (7, 5), (1, 6), (1, 1)),
    ),
    case("spatial_reduction_1", SpatialReductionAttention, head_dim=8, reduction=1, prefix=1),
    case("spatial_reduction_3", SpatialReductionAttention, head_dim=8, reduction=3, prefix=2),
    case("pooled_reduction", PooledReductionAttention, head_dim=8, pool_size=3, prefix=1),
    case("pooled_reduction_only", PooledReductionAttention, head_dim=8, after_pooling="nothing", prefix=1),
    Case(
        "cross_window",
        functools.partial(CrossWindowAttention, head_dim=8, stripe=3),
        sizes=((7, 5), (9, 14), (6, 3), (2, 7), (1, 1)),
    ),
    Case(
        "cross_window_seen",
        functools.partial(CrossWindowAttention, head_dim=8, stripe=3, padding="seen"),
        sizes=((7, 5), (6, 3), (2, 7), (1, 1)),
    ),
    case("cross_window_map", CrossWindowAttention, head_dim=16, stripe="map", kernel_size=5),
    Case("pale", functools.partial(PaleAttention, head_dim=4, pale=3), sizes=((7, 5), (9, 14), (6, 3), (2, 7), (1, 1))),
    case("pale_linear", PaleAttention, head_dim=8, pale=(2, 4), projection=LinearProjection, scale=0.5),
    Case(
        "vanilla_pale",
        functools.partial(VanillaPaleAttention, head_dim=8, pale=3),
        sizes=((7, 5), (9, 14), (6, 3), (2, 7), (1, 1)),
    ),
    case("axial", AxialAttention, head_dim=8),
    case("axial_parallel", AxialAttention, head_dim=8, order="parallel"),
    Case(
        "axial_position_sensitive",
        functools.partial(PositionSensitiveAxialAttention, head_dim=8, span=8),
        sizes=((7, 5), (9, 14), (1, 1)),
    ),
    case("projected", ProjectedAttention, head_dim=8, prefix=1),
    case(
        "projected_reduced",
        ProjectedAttention,
        head_dim=8,
        projection=functools.partial(SeparableProjection, reduction=2, bias="none"),
        prefix=1,
    ),
    case("projected_linear", ProjectedAttention, head_dim=8, projection=LinearProjection, prefix=2),
    case("window", WindowAttention, window=4, head_dim=8),
    case("window_seen", WindowAttention, window=4, shift=2, head_dim=8, padding="seen"),
    Case(
        "window_shifted",
        functools.partial(WindowAttention, window=3, shift=1, head_dim=8, bias="projection"),
        sizes=((7, 5), (9, 14), (6, 6), (3, 8), (2, 7), (1, 1)),
    ),
    case("window_without_position", WindowAttention, window=3, shift=2, head_dim=8, position=NoPosition),
    case("window_absolute_position", WindowAttention, window=6, head_dim=8, position=AbsolutePositionBias),
    case(
        "window_continuous_position",
        WindowAttention,
        window=4,
        shift=2,
        head_dim=8,
        position=functools.partial(ContinuousPositionBias, hidden=16),
    ),
    Case(
        "shuffled_window",
        functools.partial(ShuffledWindowAttention, window=3, head_dim=8),
        sizes=((7, 5), (9, 14), (6, 6), (2, 7), (1, 1)),
    ),
    Case(
        "messenger",
        functools.partial(MessengerAttention, window=2, shuffle=2, head_dim=8),
        prefix=6,
        sizes=((7, 5), (9, 14), (8, 8), (1, 7), (1, 1)),
    ),
    case(
        "messenger_without_position",
        MessengerAttention,
        window=4,
        shuffle=1,
        head_dim=8,
        position=NoPosition,
        prefix=2,
    ),
    case("messenger_exchange", MessengerExchange, window=2, shuffle=2, prefix=6),
    Case(
        "cluster",
        functools.partial(ClusterAttention, head_dim=8, cluster_size=8, overlap=3),
        # The first map, on which half precision is tried, is small: on a larger one rounding may move a token to another cluster.
        sizes=((3, 5), (9, 14), (7, 5), (8, 8), (1, 1)),
    ),
    case(
        "cluster_tokens_hard",
        ClusterAttention,
        head_dim=8,
        cluster_size=9,
        overlap=20,
        overlap_mode="tokens",
        assignment="hard",
        scale=1.0,
    ),
    case("kmeans", KMeansAttention, head_dim=8, cluster_size=8, iterations=3),
    case("slide", SlideAttention, head_dim=8),
    Case(
        "slide_fixed_masked",
        functools.partial(
            SlideAttention, head_dim=8, kernel_size=5, shift="fixed", position="on_scores", borders="masked"
        ),
        sizes=((7, 5), (9, 14), (1, 3), (1, 1)),
    ),
    case("slide_learned", SlideAttention, head_dim=4, shift="learned", position="none", borders="masked"),
    case("slide_fixed", SlideAttention, head_dim=8, shift="fixed"),
    Case(
        "neighborhood",
        functools.partial(NeighborhoodAttention, head_dim=8, kernel_size=5),
        sizes=((9, 14), (7, 5), (17, 3), (1, 1)),
    ),
    Case(
        "neighborhood_dilated",
        functools.partial(NeighborhoodAttention, head_dim=4, kernel_size=3, dilation=2, position="none"),
        sizes=((7, 5), (9, 14), (4, 6), (2, 1), (1, 1)),
    ),
]

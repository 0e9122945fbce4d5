"""Locality mechanisms of vision transformers: tensors in, tensors out, any height and width."""

from vitcore.attention import GlobalAttention
from vitcore.axial import AxialAttention
from vitcore.channel import EfficientChannel, SqueezeExcite
from vitcore.cluster import balanced_clusters, kmeans_clusters
from vitcore.cluster_attention import ClusterAttention, attend_clusters
from vitcore.conditional_position import ConditionalPosition
from vitcore.conv_feed_forward import ConvolutionalFeedForward
from vitcore.conv_stem import ConvStem
from vitcore.convolution import DepthwiseConv2d, GridConv2d
from vitcore.cross_window import CrossWindowAttention, stripe_attention
from vitcore.deformable import DeformableAttention
from vitcore.deformed_shift import DeformedShift, one_hot_shifts
from vitcore.effective_squeeze import EffectiveSqueezeExcite
from vitcore.embed import Embedding, PatchEmbedding
from vitcore.im2col import local_attention_im2col
from vitcore.kmeans_attention import KMeansAttention, attend_labels
from vitcore.locality import LocalityFeedForward
from vitcore.messenger import MessengerAttention
from vitcore.messenger_exchange import MessengerExchange, exchange_messengers
from vitcore.mlp import Mlp
from vitcore.neighborhood import NeighborhoodAttention, neighborhood_attention
from vitcore.nested import NestedTransformer, grids_to_pixels, pixels_to_grids
from vitcore.norm import GridBatchNorm2d
from vitcore.op import ActivationFactory, FeatureOp, NormFactory, Nothing, OpFactory
from vitcore.overlap_embed import OverlapPatchEmbedding, OverlapPatchMerging
from vitcore.pale import PaleAttention, pale_attention
from vitcore.patch_merging import PatchMerging, depth_to_space, space_to_depth
from vitcore.performer import PerformerAttention, performer_attention
from vitcore.pixel_embed import PixelEmbedding, join_patches, split_into_patches
from vitcore.position import AbsolutePosition, resize_table
from vitcore.position_sensitive import PositionSensitiveAxialAttention
from vitcore.projected import ProjectedAttention
from vitcore.projection import LinearProjection, Projection, ProjectionFactory, SeparableProjection
from vitcore.reduction import PooledReductionAttention, SpatialReductionAttention
from vitcore.relative_position import (
    AbsolutePositionBias,
    ContinuousPositionBias,
    NoPosition,
    RelativePositionBias,
    WindowPosition,
    WindowPositionFactory,
)
from vitcore.response_norm import GlobalResponseNorm
from vitcore.separate_attention import SeparateAttention
from vitcore.shuffle import (
    ShuffledWindowAttention,
    shuffle_merge,
    shuffle_partition,
    shuffled_window_attention,
)
from vitcore.sinusoidal import SinusoidalPosition, sinusoidal_table
from vitcore.slide import SlideAttention, slide_attention
from vitcore.soft_split import SoftSplit, overlapping_patches
from vitcore.token_attention import TokenAttention
from vitcore.vanilla_pale import VanillaPaleAttention, vanilla_pale_attention
from vitcore.window import WindowAttention, window_attention, window_merge, window_partition
from vitcore.windowed import attend_windows

__all__ = [
    "AbsolutePosition",
    "AbsolutePositionBias",
    "ActivationFactory",
    "AxialAttention",
    "ClusterAttention",
    "ConditionalPosition",
    "ContinuousPositionBias",
    "ConvStem",
    "ConvolutionalFeedForward",
    "CrossWindowAttention",
    "DeformableAttention",
    "DeformedShift",
    "DepthwiseConv2d",
    "EffectiveSqueezeExcite",
    "EfficientChannel",
    "Embedding",
    "FeatureOp",
    "GlobalAttention",
    "GlobalResponseNorm",
    "GridBatchNorm2d",
    "GridConv2d",
    "KMeansAttention",
    "LinearProjection",
    "LocalityFeedForward",
    "MessengerAttention",
    "MessengerExchange",
    "Mlp",
    "NeighborhoodAttention",
    "NestedTransformer",
    "NoPosition",
    "NormFactory",
    "Nothing",
    "OpFactory",
    "OverlapPatchEmbedding",
    "OverlapPatchMerging",
    "PaleAttention",
    "PatchEmbedding",
    "PatchMerging",
    "PerformerAttention",
    "PixelEmbedding",
    "PooledReductionAttention",
    "PositionSensitiveAxialAttention",
    "ProjectedAttention",
    "Projection",
    "ProjectionFactory",
    "RelativePositionBias",
    "SeparableProjection",
    "SeparateAttention",
    "ShuffledWindowAttention",
    "SinusoidalPosition",
    "SlideAttention",
    "SoftSplit",
    "SpatialReductionAttention",
    "SqueezeExcite",
    "TokenAttention",
    "VanillaPaleAttention",
    "WindowAttention",
    "WindowPosition",
    "WindowPositionFactory",
    "attend_clusters",
    "attend_labels",
    "attend_windows",
    "balanced_clusters",
    "depth_to_space",
    "exchange_messengers",
    "grids_to_pixels",
    "join_patches",
    "kmeans_clusters",
    "local_attention_im2col",
    "neighborhood_attention",
    "one_hot_shifts",
    "overlapping_patches",
    "pale_attention",
    "performer_attention",
    "pixels_to_grids",
    "resize_table",
    "shuffle_merge",
    "shuffle_partition",
    "shuffled_window_attention",
    "sinusoidal_table",
    "slide_attention",
    "space_to_depth",
    "split_into_patches",
    "stripe_attention",
    "vanilla_pale_attention",
    "window_attention",
    "window_merge",
    "window_partition",
]

"""Locality mechanisms of vision transformers: tensors in, tensors out, any height and width."""

from vitcore.attention.content.cluster_attention import ClusterAttention, attend_clusters
from vitcore.attention.content.clusters import balanced_clusters, kmeans_clusters
from vitcore.attention.content.deformable_attention import DeformableAttention
from vitcore.attention.content.kmeans_attention import KMeansAttention, attend_labels
from vitcore.attention.neighborhood.deformed_shift import DeformedShift, one_hot_shifts
from vitcore.attention.neighborhood.im2col import local_attention_im2col
from vitcore.attention.neighborhood.neighborhood_attention import NeighborhoodAttention, neighborhood_attention
from vitcore.attention.neighborhood.slide_attention import SlideAttention, slide_attention
from vitcore.attention.qkv_projection import LinearProjection, Projection, ProjectionFactory, SeparableProjection
from vitcore.attention.stripes.axial_attention import AxialAttention
from vitcore.attention.stripes.cross_window_attention import CrossWindowAttention, stripe_attention
from vitcore.attention.stripes.pale_attention import PaleAttention, pale_attention
from vitcore.attention.stripes.position_sensitive_axial_attention import PositionSensitiveAxialAttention
from vitcore.attention.stripes.vanilla_pale_attention import VanillaPaleAttention, vanilla_pale_attention
from vitcore.attention.whole_map.global_attention import GlobalAttention
from vitcore.attention.whole_map.performer_attention import PerformerAttention, performer_attention
from vitcore.attention.whole_map.pooled_reduction_attention import PooledReductionAttention
from vitcore.attention.whole_map.projected_attention import ProjectedAttention
from vitcore.attention.whole_map.separate_attention import SeparateAttention
from vitcore.attention.whole_map.spatial_reduction_attention import SpatialReductionAttention
from vitcore.attention.whole_map.token_attention import TokenAttention
from vitcore.attention.windows.attention_in_windows import attend_windows
from vitcore.attention.windows.geometry import window_merge, window_partition
from vitcore.attention.windows.messenger_attention import MessengerAttention
from vitcore.attention.windows.messenger_exchange import MessengerExchange, exchange_messengers
from vitcore.attention.windows.nested_transformer import NestedTransformer, grids_to_pixels, pixels_to_grids
from vitcore.attention.windows.shuffled_window_attention import (
    ShuffledWindowAttention,
    shuffle_merge,
    shuffle_partition,
    shuffled_window_attention,
)
from vitcore.attention.windows.window_attention import WindowAttention, window_attention
from vitcore.convolution import DepthwiseConv2d, GridConv2d
from vitcore.embedding.conv_stem import ConvStem
from vitcore.embedding.embedding import Embedding
from vitcore.embedding.overlap_patch_embedding import OverlapPatchEmbedding
from vitcore.embedding.overlap_patch_merging import OverlapPatchMerging
from vitcore.embedding.patch_embedding import PatchEmbedding
from vitcore.embedding.patch_merging import PatchMerging, depth_to_space, space_to_depth
from vitcore.embedding.pixel_embedding import PixelEmbedding, join_patches, split_into_patches
from vitcore.embedding.soft_split import SoftSplit, overlapping_patches
from vitcore.feed_forward.channel_attention.effective_squeeze_excite import EffectiveSqueezeExcite
from vitcore.feed_forward.channel_attention.efficient_channel import EfficientChannel
from vitcore.feed_forward.channel_attention.global_response_norm import GlobalResponseNorm
from vitcore.feed_forward.channel_attention.squeeze_excite import SqueezeExcite
from vitcore.feed_forward.convolutional_feed_forward import ConvolutionalFeedForward
from vitcore.feed_forward.locality_feed_forward import LocalityFeedForward
from vitcore.feed_forward.mlp import Mlp
from vitcore.norm import GridBatchNorm2d
from vitcore.op import ActivationFactory, FeatureOp, NormFactory, Nothing, OpFactory
from vitcore.position.absolute_position import AbsolutePosition, resize_table
from vitcore.position.absolute_position_bias import AbsolutePositionBias
from vitcore.position.conditional_position import ConditionalPosition
from vitcore.position.continuous_position_bias import ContinuousPositionBias
from vitcore.position.relative_position_bias import RelativePositionBias
from vitcore.position.sinusoidal_position import SinusoidalPosition, sinusoidal_table
from vitcore.position.window_position import NoPosition, WindowPosition, WindowPositionFactory

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

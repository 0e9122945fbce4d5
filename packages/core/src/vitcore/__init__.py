"""Locality mechanisms of vision transformers: tensors in, tensors out, any height and width."""

from vitcore.attention import GlobalAttention
from vitcore.channel import EfficientChannel, SqueezeExcite
from vitcore.convolution import DepthwiseConv2d, GridConv2d
from vitcore.embed import PatchEmbedding
from vitcore.locality import LocalityFeedForward
from vitcore.mlp import Mlp
from vitcore.norm import GridBatchNorm2d
from vitcore.op import ActivationFactory, FeatureOp, NormFactory, Nothing, OpFactory
from vitcore.position import AbsolutePosition, resize_table

__all__ = [
    "AbsolutePosition",
    "ActivationFactory",
    "DepthwiseConv2d",
    "EfficientChannel",
    "FeatureOp",
    "GlobalAttention",
    "GridBatchNorm2d",
    "GridConv2d",
    "LocalityFeedForward",
    "Mlp",
    "NormFactory",
    "Nothing",
    "OpFactory",
    "PatchEmbedding",
    "SqueezeExcite",
    "resize_table",
]

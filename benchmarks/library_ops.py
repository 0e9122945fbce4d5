"""The same ops in timm, with the weights of vitcore's, behind the same call: grid in, grid out."""

from collections.abc import Callable

import timm.layers
import timm.layers.grn
import torch
from timm.models import pvt_v2, swin_transformer, tnt
from timm.models._efficientnet_blocks import InvertedResidual
from torch import Tensor, nn


class Library(nn.Module):
    """A module of timm, how it is called, and which parameter of ours each of its parameters equals.

    ``names``: their parameter or module -> ours, where the two have different names.
    """

    def __init__(self, module: nn.Module, ours: nn.Module, names: dict[str, str], call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.call = module, call
        self._sources = {}
        own = dict(ours.named_parameters())
        for name, parameter in module.named_parameters():
            prefix, leaf = name.rpartition(".")[::2]
            source = own[names.get(name) or (f"{names[prefix]}.{leaf}" if prefix in names else name)]
            self._sources[name] = (parameter, source)

    @torch.no_grad()
    def take_weights(self) -> None:
        """Copy ours'."""
        for parameter, source in self._sources.values():
            parameter.copy_(source.view(parameter.shape))

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.call(self.module, *inputs)


def on_tokens(module: nn.Module, grid: Tensor) -> Tensor:
    return module(grid.flatten(1, 2)).view(grid.shape)


def on_tokens_of_a_map(module: nn.Module, grid: Tensor) -> Tensor:
    return module(grid.flatten(1, 2), grid.shape[1:3]).view(grid.shape)


def on_channels_first(module: nn.Module, grid: Tensor) -> Tensor:
    """The view of a grid as (b, c, h, w) is channels-last in memory: nothing is copied on the way in or out."""
    return module(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


PROJECTION = {"proj": "projection"}


def global_attention(op) -> Library:
    module = timm.layers.Attention(op.width, op.width // op.head_dim, qkv_bias=True)
    return Library(module, op, PROJECTION, on_tokens)


def separate_attention(op) -> Library:
    width = op.v.in_features
    return Library(tnt.Attention(width, width, width // op.head_dim), op, PROJECTION, on_tokens)


def reduction_attention(op) -> Library:
    linear = hasattr(op, "pool_size")
    module = pvt_v2.Attention(op.width, op.width // op.head_dim, 1 if linear else op.reduction, linear)
    return Library(module, op, {**PROJECTION, "sr": "reduce"}, on_tokens_of_a_map)


def window_attention(op, h: int, w: int) -> Library:
    heads = op.width // op.head_dim
    block = swin_transformer.SwinTransformerBlock(op.width, (h, w), heads, window_size=op.window, shift_size=op.shift)
    block.norm1 = block.norm2 = block.mlp = nn.Identity()
    names = {"attn.proj": "projection", "attn.qkv": "qkv", "attn.relative_position_bias_table": "position.table"}
    return Library(block, op, names, lambda module, grid: module._attn(grid))


def mlp(op) -> Library:
    module = timm.layers.Mlp(op.expand.in_features, op.expand.out_features)
    return Library(module, op, {"fc1": "expand", "fc2": "contract"}, lambda module, grid: module(grid))


def convolutional_feed_forward(op) -> Library:
    relu = isinstance(op.activation_before, nn.ReLU)
    module = pvt_v2.MlpWithDepthwiseConv(op.expand.in_features, op.expand.out_features, extra_relu=relu)
    names = {"fc1": "expand", "dwconv": "middle", "fc2": "contract"}
    return Library(module, op, names, on_tokens_of_a_map)


def locality_feed_forward(op) -> Library:
    squeezed = op.channel_attention.squeeze.out_features

    def gate(channels: int, **_) -> nn.Module:
        return timm.layers.SqueezeExcite(channels, rd_channels=squeezed, gate_layer="hard_sigmoid")

    module = InvertedResidual(
        op.width, op.width, exp_ratio=op.hidden / op.width, noskip=True, act_layer=nn.Hardswish, se_layer=gate
    )
    names = {"conv_pw": "expand.0", "bn1": "expand.1", "conv_dw": "middle.0", "bn2": "middle.1"}
    names |= {"se.fc1": "channel_attention.squeeze", "se.fc2": "channel_attention.excite"}
    names |= {"conv_pwl": "contract.0", "bn3": "contract.1"}
    return Library(module, op, names, on_channels_first)


def squeeze_excite(op) -> Library:
    width, squeezed = op.squeeze.in_features, op.squeeze.out_features
    module = timm.layers.SqueezeExcite(width, rd_channels=squeezed, gate_layer="hard_sigmoid")
    return Library(module, op, {"fc1": "squeeze", "fc2": "excite"}, on_channels_first)


def efficient_channel(op) -> Library:
    return Library(timm.layers.EcaModule(op.width), op, {"conv": "mix"}, on_channels_first)


def effective_squeeze(op) -> Library:
    module = timm.layers.EffectiveSEModule(op.excite.in_features)
    return Library(module, op, {"fc": "excite"}, on_channels_first)


def response_norm(op) -> Library:
    module = timm.layers.grn.GlobalResponseNorm(len(op.weight))
    return Library(module, op, {}, lambda module, grid: module(grid))


def patch_embedding(op, size: int) -> Library:
    conv = op.projection
    module = timm.layers.PatchEmbed(size, op.reduction, conv.in_channels, conv.out_channels, output_fmt="NHWC")
    return Library(module, op, PROJECTION, lambda module, image: module(image))


def overlap_embedding(op) -> Library:
    conv = op.projection
    module = pvt_v2.OverlapPatchEmbed(op.kernel_size, op.reduction, conv.in_channels, conv.out_channels)
    return Library(module, op, PROJECTION, lambda module, image: module(image))


def overlap_merging(op) -> Library:
    library = overlap_embedding(op)
    library.call = lambda module, grid: module(grid.permute(0, 3, 1, 2))
    return library


def patch_merging(op) -> Library:
    conv = op.projection
    module = swin_transformer.PatchMerging(conv.in_features // 4, conv.out_features)
    return Library(module, op, {"reduction": "projection"}, lambda module, grid: module(grid))


def pixel_embedding(op, size: int) -> Library:
    conv = op.projection
    module = tnt.PixelEmbed(size, op.reduction, conv.in_channels, conv.out_channels, conv.stride[0], legacy=True)

    def call(module: nn.Module, image: Tensor) -> Tensor:
        side = op.side
        pixels = module(image, op.position.T.reshape(1, -1, side, side))
        return pixels.reshape(image.shape[0], size // op.reduction, size // op.reduction, side**2, -1)

    return Library(module, op, PROJECTION, call)

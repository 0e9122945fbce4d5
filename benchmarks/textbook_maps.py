"""Feed-forwards, channel attentions and embeddings as they are commonly published: tokens here, channels first there.

Each function computes what the op of vitcore computes, with that op's own parameters.
"""

import torch
from textbook_attention import attend, batch_norm, from_heads, to_map, to_tokens
from torch import Tensor
from torch.nn import functional as F


def pointwise(layer, image: Tensor) -> Tensor:
    """A linear map as a 1 x 1 convolution of (b, c, h, w)."""
    return F.conv2d(image, layer.weight.view(*layer.weight.shape[:2], 1, 1), layer.bias)


def mlp(op, grid: Tensor) -> Tensor:
    """On the sequence of tokens."""
    return op.contract(op.activation(op.expand(grid.flatten(1, 2)))).view(grid.shape)


def convolutional_feed_forward(op, grid: Tensor) -> Tensor:
    """PVTv2's: the hidden tokens to a channels-first map and back."""
    hidden = to_map(op.activation_before(op.expand(grid.flatten(1, 2))), *grid.shape[1:3])
    hidden = F.conv2d(hidden, op.middle.weight, op.middle.bias, padding=1, groups=hidden.shape[1])
    return op.contract(op.activation(to_tokens(hidden))).view(grid.shape)


def locality_feed_forward(op, grid: Tensor) -> Tensor:
    """LocalViT's: the sequence as a channels-first map through convolutions, norms and the gate."""
    h, w = grid.shape[1:3]
    image = to_map(grid.flatten(1, 2), h, w)
    conv, norm, activation = op.expand
    image = activation(batch_norm(norm, F.conv2d(image, conv.weight)))
    conv, norm, activation = op.middle
    image = activation(batch_norm(norm, F.conv2d(image, conv.weight, padding=1, groups=image.shape[1])))
    image = gate_image(op.channel_attention, image)
    conv, norm = op.contract
    image = batch_norm(norm, F.conv2d(image, conv.weight))
    return to_tokens(image).view(grid.shape)


def gate_image(op, image: Tensor) -> Tensor:
    """Squeeze and excitation of (b, c, h, w), the gate as its formula."""
    b, c = image.shape[:2]
    pooled = F.adaptive_avg_pool2d(image, 1).view(b, c)
    gate = F.relu6(op.excite(F.relu(op.squeeze(pooled))) + 3) / 6
    return image * gate.view(b, c, 1, 1)


def squeeze_excite(op, grid: Tensor) -> Tensor:
    return gate_image(op, grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def efficient_channel(op, grid: Tensor) -> Tensor:
    image = grid.permute(0, 3, 1, 2)
    pooled = F.adaptive_avg_pool2d(image, 1).squeeze(-1).transpose(-1, -2)
    gate = op.gate(op.mix(pooled).transpose(-1, -2).unsqueeze(-1))
    return (image * gate.expand_as(image)).permute(0, 2, 3, 1)


def effective_squeeze(op, grid: Tensor) -> Tensor:
    image = grid.permute(0, 3, 1, 2)
    gate = F.relu6(pointwise(op.excite, F.adaptive_avg_pool2d(image, 1)) + 3) / 6
    return (image * gate).permute(0, 2, 3, 1)


def response_norm(op, grid: Tensor) -> Tensor:
    norm = torch.norm(grid, p=2, dim=(1, 2), keepdim=True)
    share = norm / (norm.mean(dim=-1, keepdim=True) + op.epsilon)
    return op.weight * (grid * share) + op.bias + grid


def conditional_position(op, grid: Tensor) -> Tensor:
    image = to_map(grid.flatten(1, 2), *grid.shape[1:3])
    conv = op.convolution
    return to_tokens(F.conv2d(image, conv.weight, conv.bias, padding=conv.padding, groups=conv.groups)).view(grid.shape)


def patch_embedding(op, image: Tensor) -> Tensor:
    """A strided convolution, flattened to tokens; a norm if there is one."""
    conv = op.projection
    maps = F.conv2d(image, conv.weight, conv.bias, conv.stride, conv.padding)
    tokens = to_tokens(maps)
    tokens = op.norm(tokens) if hasattr(op, "norm") else tokens
    return tokens.view(image.shape[0], *maps.shape[2:], -1)


def overlap_merging(op, grid: Tensor) -> Tensor:
    """PVT's: the tokens brought to a channels-first map, which the convolution turns into another."""
    return patch_embedding(op, grid.permute(0, 3, 1, 2).contiguous())


def patch_merging(op, grid: Tensor) -> Tensor:
    """Swin's: four strided slices side by side."""
    slices = [grid[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
    return op.projection(op.norm(torch.cat(slices, -1)))


def conv_stem(op, image: Tensor) -> Tensor:
    for conv, norm, activation in op.layers:
        image = activation(batch_norm(norm, F.conv2d(image, conv.weight, None, conv.stride, conv.padding)))
    return F.conv2d(image, op.last.weight, op.last.bias).permute(0, 2, 3, 1)


def soft_split(op, grid: Tensor) -> Tensor:
    """T2T's: the map to channels first, unfold, transpose."""
    b, h, w, _ = grid.shape
    image = grid.permute(0, 3, 1, 2).contiguous()
    k, s, p = op.kernel_size, op.reduction, op.padding
    rows, columns = ((side + 2 * p - k) // s + 1 for side in (h, w))
    return F.unfold(image, k, padding=p, stride=s).transpose(1, 2).reshape(b, rows, columns, -1)


def pixel_embedding(op, image: Tensor) -> Tensor:
    """TNT's: the convolution's map unfolded into patches."""
    conv, side = op.projection, op.side
    maps = F.conv2d(image, conv.weight, conv.bias, conv.stride, conv.padding)
    b, c, h, w = maps.shape
    patches = F.unfold(maps, side, stride=side).transpose(1, 2).reshape(-1, c, side**2)
    pixels = patches + op.position.T
    return pixels.transpose(1, 2).reshape(b, h // side, w // side, side**2, c)


def nested_transformer(op, pixels: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """TNT's inner layer on (patches, pixels, channels)."""
    b, h, w, m, c = pixels.shape
    inner, mixer, feed_forward = pixels.view(-1, m, c), op.mixer, op.feed_forward
    x = op.mixer_norm(inner)
    q, k = mixer.qk(x).reshape(-1, m, 2, c // mixer.head_dim, mixer.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
    v = mixer.v(x).reshape(-1, m, c // mixer.head_dim, mixer.head_dim).transpose(1, 2)
    inner = inner + mixer.projection(from_heads(attend(q, k, v, mixer.head_dim**-0.5)))
    x = feed_forward.expand(op.feed_forward_norm(inner))
    inner = inner + feed_forward.contract(feed_forward.activation(x))
    summary = op.summary(op.summary_norm(inner).reshape(b, h * w, m * c))
    return inner.view(b, h, w, m, c), grid + summary.view(grid.shape)

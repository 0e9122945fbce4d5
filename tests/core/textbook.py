"""Textbook pieces that several twins are made of, written token by token. Nothing here comes from vitcore."""

import torch


def convolution_by_loops(grid, weight, bias=None, stride=1, padding=0):
    """Cross-correlation of a grid (b, h, w, c), a sum over taps; depth-wise if the filter has one channel."""
    b, h, w, c = grid.shape
    out, depthwise, k = weight.shape[0], weight.shape[1] == 1 and c > 1, weight.shape[-1]
    rows, columns = (h + 2 * padding - k) // stride + 1, (w + 2 * padding - k) // stride + 1
    tokens = []
    for i in range(rows):
        for j in range(columns):
            token = grid.new_zeros(b, out) if bias is None else bias.expand(b, out)
            for di in range(k):
                for dj in range(k):
                    y, x = i * stride + di - padding, j * stride + dj - padding
                    if 0 <= y < h and 0 <= x < w:
                        tap = weight[:, :, di, dj]
                        token = token + (grid[:, y, x] * tap[:, 0] if depthwise else grid[:, y, x] @ tap.T)
            tokens.append(token)
    return torch.stack(tokens, 1).view(b, rows, columns, out)


def layer_norm_by_hand(x, norm):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias


def batch_norm_by_hand(x, norm):
    """At the running statistics."""
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def linear_by_hand(x, layer):
    return x @ layer.weight.T + (0 if layer.bias is None else layer.bias)


def attention_by_loops(q, k, v, scale):
    """q, k, v (b, t, d): a softmax over all keys for each query, written out."""
    outputs = []
    for query in range(q.shape[1]):
        scores = torch.stack([(q[:, query] * k[:, key]).sum(-1) * scale for key in range(k.shape[1])])
        weights = scores.exp() / scores.exp().sum(0)
        outputs.append(sum(weights[key, :, None] * v[:, key] for key in range(k.shape[1])))
    return torch.stack(outputs, 1)

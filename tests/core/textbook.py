"""Textbook formulas that several twins share, written for one query, one layer or one tap. Nothing here comes from vitcore."""

import torch


def linear(layer, x: torch.Tensor) -> torch.Tensor:
    y = x @ layer.weight.T
    return y if layer.bias is None else y + layer.bias


def attend_one(q, keys, values, head_dim: int, scale: float | None = None) -> torch.Tensor:
    """One query (b, c) over lists of keys and values (b, c): a softmax for each head, written out; no maximum subtracted."""
    scale = head_dim**-0.5 if scale is None else scale
    heads = []
    for start in range(0, q.shape[-1], head_dim):
        part = slice(start, start + head_dim)
        weights = [(scale * (q[:, part] * key[:, part]).sum(-1, keepdim=True)).exp() for key in keys]
        total = sum(weights)
        heads.append(sum(w / total * value[:, part] for w, value in zip(weights, values, strict=True)))
    return torch.cat(heads, -1)


def attend_everywhere(q, k, v, head_dim: int, seen, scale: float | None = None) -> torch.Tensor:
    """A map (b, h, w, c) of ``attend_one``: ``seen(i, j)`` lists the (row, column) of the keys of the query at (i, j)."""
    h, w = q.shape[1:3]
    rows = []
    for i in range(h):
        row = []
        for j in range(w):
            places = seen(i, j)
            keys, values = [k[:, y, x] for y, x in places], [v[:, y, x] for y, x in places]
            row.append(attend_one(q[:, i, j], keys, values, head_dim, scale))
        rows.append(torch.stack(row, 1))
    return torch.stack(rows, 1)


def layer_norm(norm, x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


def batch_norm(norm, x: torch.Tensor) -> torch.Tensor:
    """BatchNorm at its running statistics, channels last."""
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def depthwise_at(conv, x: torch.Tensor, i: int, j: int, rows: range, columns: range) -> torch.Tensor:
    """A depth-wise filter at (i, j) of a map (b, h, w, c) that ends at ``rows`` and ``columns``: zeros beyond."""
    r = conv.weight.shape[-1] // 2
    out = torch.zeros_like(x[:, i, j]) if conv.bias is None else conv.bias.expand_as(x[:, i, j])
    for di in range(-r, r + 1):
        for dj in range(-r, r + 1):
            if i + di in rows and j + dj in columns:
                out = out + x[:, i + di, j + dj] * conv.weight[:, 0, di + r, dj + r]
    return out


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


def attention_by_loops(q, k, v, scale):
    """q, k, v (b, t, d): a softmax over all keys for each query, written out."""
    outputs = []
    for query in range(q.shape[1]):
        scores = torch.stack([(q[:, query] * k[:, key]).sum(-1) * scale for key in range(k.shape[1])])
        weights = scores.exp() / scores.exp().sum(0)
        outputs.append(sum(weights[key, :, None] * v[:, key] for key in range(k.shape[1])))
    return torch.stack(outputs, 1)

"""Attentions as they are commonly published: vectorised, with copies, index tables and the attention matrix written out.

Each function computes what the op of vitcore computes, with that op's own parameters, so that the two can be compared number by
number before they are timed.
"""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F


def attend(
    q: Tensor, k: Tensor, v: Tensor, scale: float, bias: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """(..., t, d): scores, bias, mask, softmax, weighted sum."""
    scores = (q * scale) @ k.transpose(-2, -1)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores + mask
    return scores.softmax(-1) @ v


def to_heads(qkv: Tensor, head_dim: int) -> tuple[Tensor, ...]:
    """(b, t, 3 * c) -> q, k, v of (b, heads, t, d)."""
    b, t, c3 = qkv.shape
    return qkv.reshape(b, t, 3, c3 // 3 // head_dim, head_dim).permute(2, 0, 3, 1, 4).unbind(0)


def from_heads(x: Tensor) -> Tensor:
    b, n, t, d = x.shape
    return x.transpose(1, 2).reshape(b, t, n * d)


def self_attention(tokens: Tensor, qkv, projection, head_dim: int, bias=None, mask=None) -> Tensor:
    q, k, v = to_heads(qkv(tokens), head_dim)
    return projection(from_heads(attend(q, k, v, head_dim**-0.5, bias, mask)))


def to_map(tokens: Tensor, h: int, w: int) -> Tensor:
    """(b, t, c) -> (b, c, h, w)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, h, w)


def to_tokens(image: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, t, c)."""
    return image.flatten(2).transpose(1, 2)


def global_attention(op, grid: Tensor) -> Tensor:
    return self_attention(grid.flatten(1, 2), op.qkv, op.projection, op.head_dim).view(grid.shape)


def separate_attention(op, grid: Tensor) -> Tensor:
    tokens = grid.flatten(1, 2)
    b, t, _ = tokens.shape
    q, k = op.qk(tokens).reshape(b, t, 2, -1, op.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
    v = op.v(tokens).reshape(b, t, -1, op.head_dim).transpose(1, 2)
    return op.projection(from_heads(attend(q, k, v, op.head_dim**-0.5))).view(grid.shape)


def token_attention(op, grid: Tensor) -> Tensor:
    b, h, w, _ = grid.shape
    q, k, v = to_heads(op.qkv(grid.flatten(1, 2)), op.projection.in_features)
    mixed = op.projection(from_heads(attend(q, k, v, op.scale)))
    return (v.squeeze(1) + mixed).view(b, h, w, -1)


def reduction_attention(op, grid: Tensor) -> Tensor:
    """PVT's and PVTv2's: the map as channels first for the reduction, tokens for the rest."""
    b, h, w, c = grid.shape
    tokens, d = grid.reshape(b, h * w, c), op.head_dim
    q = op.q(tokens).reshape(b, h * w, -1, d).transpose(1, 2)
    keys = tokens
    if hasattr(op, "pool_size"):
        pooled = F.adaptive_avg_pool2d(to_map(tokens, h, w), op.pool_size)
        keys = F.conv2d(pooled, op.reduce.weight, op.reduce.bias)
        keys = F.gelu(op.norm(to_tokens(keys)))
    elif op.reduction > 1:
        keys = F.conv2d(to_map(tokens, h, w), op.reduce.weight, op.reduce.bias, stride=op.reduction)
        keys = op.norm(to_tokens(keys))
    k, v = op.kv(keys).reshape(b, -1, 2, c // d, d).permute(2, 0, 3, 1, 4).unbind(0)
    return op.projection(from_heads(attend(q, k, v, d**-0.5))).view(grid.shape)


@functools.cache
def relative_index(window: int, device: torch.device) -> Tensor:
    """(t, t): which entry of a table of (2 * window - 1)**2 displacements belongs to a query and a key."""
    places = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
    step = (places[:, :, None] - places[:, None, :]) + window - 1
    return (step[0] * (2 * window - 1) + step[1]).to(device)


def table_bias(table: Tensor, window: int) -> Tensor:
    """(1, heads, t, t) read from ((2 * window - 1)**2, heads) by index."""
    t = window**2
    rows = table[relative_index(window, table.device).view(-1)]
    return rows.view(t, t, -1).permute(2, 0, 1).contiguous().unsqueeze(0)


@functools.cache
def displacements(window: int, reference: int, device: torch.device) -> Tensor:
    """((2 * window - 1)**2, 2) log-spaced coordinates."""
    step = torch.arange(1 - window, window, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(step, step, indexing="ij"), -1) * 8 / (reference - 1)
    return (grid.sign() * (grid.abs() + 1).log2() / 3).flatten(0, 1).to(device)


def position_bias(position, window: int) -> Tensor:
    if hasattr(position, "table"):
        return table_bias(position.table, window)
    places = displacements(window, position.reference, position.expand.weight.device).to(position.expand.weight.dtype)
    return 16 * torch.sigmoid(table_bias(position.contract(F.relu(position.expand(places))), window))


def cut_windows(grid: Tensor, window: int) -> Tensor:
    b, h, w, c = grid.shape
    cells = grid.view(b, h // window, window, w // window, window, c)
    return cells.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, window * window, c)


def join_windows(windows: Tensor, window: int, h: int, w: int) -> Tensor:
    cells = windows.view(-1, h // window, w // window, window, window, windows.shape[-1])
    return cells.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, h, w, windows.shape[-1])


@functools.cache
def shift_mask(h: int, w: int, window: int, shift: int, device: torch.device) -> Tensor:
    """(windows, t, t): -100 for pairs from different sides of the seam."""
    regions = torch.zeros(1, h, w, 1)
    cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate((rows, columns) for rows in cuts for columns in cuts):
        regions[:, rows, columns] = number
    tokens = cut_windows(regions, window).squeeze(-1)
    return torch.where(tokens[:, None] == tokens[:, :, None], 0.0, -100.0).to(device)


def window_attention(op, grid: Tensor) -> Tensor:
    """Swin's: roll, cut, attend with a table read by index and a mask of -100, join, roll back."""
    _, h, w, _ = grid.shape
    heads, mask = op.width // op.head_dim, None
    shifted = torch.roll(grid, (-op.shift, -op.shift), (1, 2)) if op.shift else grid
    tokens = cut_windows(shifted.contiguous(), op.window)
    q, k, v = to_heads(op.qkv(tokens), op.head_dim)
    scores = (q * op.head_dim**-0.5) @ k.transpose(-2, -1) + position_bias(op.position, op.window)
    if op.shift:
        mask = shift_mask(h, w, op.window, op.shift, grid.device).to(grid.dtype)
        n, t = mask.shape[:2]
        scores = (scores.view(-1, n, heads, t, t) + mask[None, :, None]).view(-1, heads, t, t)
    windows = op.projection(from_heads(scores.softmax(-1) @ v))
    joined = join_windows(windows, op.window, h, w)
    return torch.roll(joined, (op.shift, op.shift), (1, 2)) if op.shift else joined


def shuffled_window_attention(op, grid: Tensor) -> Tensor:
    """Shuffle Transformer's, channels first: the projections as 1 x 1 convolutions, tokens gathered by one long permutation."""
    b, h, w, c = grid.shape
    m, d = op.window, op.head_dim
    image = grid.permute(0, 3, 1, 2).contiguous()
    qkv = F.conv2d(image, op.qkv.weight[:, :, None, None], op.qkv.bias)
    cells = qkv.view(b, 3, c // d, d, m, h // m, m, w // m)
    q, k, v = cells.permute(1, 0, 5, 7, 2, 4, 6, 3).reshape(3, -1, c // d, m * m, d).unbind(0)
    mixed = attend(q, k, v, d**-0.5, position_bias(op.position, m))
    cells = mixed.view(b, h // m, w // m, c // d, m, m, d).permute(0, 3, 6, 4, 1, 5, 2)
    image = cells.reshape(b, c, h, w)
    return F.conv2d(image, op.projection.weight[:, :, None, None], op.projection.bias).permute(0, 2, 3, 1)


def messenger_attention(op, grid: Tensor, messengers: Tensor) -> tuple[Tensor, Tensor]:
    """MSG-Transformer's: the messenger in front of each window's tokens, one bias matrix over both."""
    b, h, w, c = grid.shape
    t = op.window**2
    tokens = torch.cat((messengers.reshape(-1, 1, c), cut_windows(grid, op.window)), 1)
    bias = torch.zeros(1, c // op.head_dim, t + 1, t + 1, dtype=grid.dtype, device=grid.device)
    bias[:, :, 1:, 1:] = position_bias(op.position, op.window)
    bias[:, :, 1:, 0] = op.messenger_bias[:, None]
    out = self_attention(tokens, op.qkv, op.projection, op.head_dim, bias)
    return join_windows(out[:, 1:].contiguous(), op.window, h, w), out[:, 0].reshape(b, -1, c)


def messenger_exchange(op, grid: Tensor, messengers: Tensor) -> tuple[Tensor, Tensor]:
    b, _, c = messengers.shape
    rows, columns, s = grid.shape[1] // op.window, grid.shape[2] // op.window, op.shuffle
    regions = messengers.view(b, rows // s, s, columns // s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, s * s, c)
    swapped = regions.view(-1, s * s, s * s, c // s**2).transpose(1, 2).contiguous()
    swapped = swapped.view(b, rows // s, columns // s, s, s, c).permute(0, 1, 3, 2, 4, 5).reshape(b, -1, c)
    return torch.zeros_like(grid), swapped - messengers


def cross_window_attention(op, grid: Tensor) -> Tensor:
    """CSWin's: tokens to a channels-first map, to stripes, to heads, for q, k and v of each branch."""
    b, h, w, c = grid.shape
    qkv = op.qkv(grid.flatten(1, 2)).reshape(b, h * w, 3, c).permute(2, 0, 1, 3)
    branches, part = len(op.lepe), c // len(op.lepe)
    sizes = [(h, w)] if op.stripe == "map" else [(h, op.stripe), (op.stripe, w)]

    def cut(tokens: Tensor, rows: int, columns: int) -> Tensor:
        image = tokens.transpose(-2, -1).contiguous().view(b, part, h, w)
        cells = image.view(b, part, h // rows, rows, w // columns, columns)
        return cells.permute(0, 2, 4, 3, 5, 1).contiguous().reshape(-1, rows * columns, part)

    def heads(stripes: Tensor) -> Tensor:
        return stripes.reshape(*stripes.shape[:2], -1, op.head_dim).permute(0, 2, 1, 3).contiguous()

    results = []
    for number in range(branches):
        rows, columns = sizes[number]
        q, k, v = (cut(x[:, :, number * part : (number + 1) * part], rows, columns) for x in qkv)
        filters = op.lepe[number]
        stripes = v.transpose(1, 2).contiguous().view(-1, part, rows, columns)
        near = F.conv2d(stripes, filters.weight, filters.bias, padding=filters.padding, groups=part)
        mixed = attend(heads(q), heads(k), heads(v), op.head_dim**-0.5)
        mixed = from_heads(mixed) + near.flatten(2).transpose(1, 2)
        cells = mixed.view(b, h // rows, w // columns, rows, columns, part)
        results.append(cells.permute(0, 1, 3, 2, 4, 5).contiguous().view(b, h * w, part))
    return op.projection(torch.cat(results, 2)).view(grid.shape)


def separable(branch, image: Tensor) -> Tensor:
    """Depth-wise, norm, pointwise on (b, c, h, w)."""
    depthwise, norm = branch.depthwise, branch.norm
    image = F.conv2d(
        image, depthwise.weight, depthwise.bias, depthwise.stride, depthwise.padding, groups=image.shape[1]
    )
    image = batch_norm(norm, image)
    return F.conv2d(image, branch.pointwise.weight[:, :, None, None], branch.pointwise.bias)


def batch_norm(norm, image: Tensor) -> Tensor:
    """On (b, c, h, w), by batch statistics in training."""
    return F.batch_norm(
        image, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, norm.momentum, norm.eps
    )


def projected_attention(op, grid: Tensor) -> Tensor:
    """CvT's: three convolutional projections of the channels-first map."""
    image = to_map(grid.flatten(1, 2), *grid.shape[1:3])

    def heads(branch) -> Tensor:
        tokens = to_tokens(separable(branch, image))
        return tokens.reshape(*tokens.shape[:2], -1, op.head_dim).transpose(1, 2)

    q, k, v = heads(op.qkv.q), heads(op.qkv.k), heads(op.qkv.v)
    return op.projection(from_heads(attend(q, k, v, op.head_dim**-0.5))).view(grid.shape)


def pale_attention(op, grid: Tensor) -> Tensor:
    """Pale's: separable projections, rows and columns put in order by index tables, one attention for each half."""
    image = grid.permute(0, 3, 1, 2).contiguous()
    b, _, h, w = image.shape
    rows, columns = h // op.pale[0], w // op.pale[1]
    qkv = torch.stack([separable(branch, image) for branch in (op.qkv.q, op.qkv.k, op.qkv.v)])
    by_rows, by_columns = qkv.chunk(2, 2)

    def grouped(half: Tensor, groups: int) -> Tensor:
        """(3, b, c / 2, length, across): attention within the ``groups`` groups of lines."""
        length, across, heads = half.shape[3], half.shape[4], half.shape[2] // op.head_dim
        order = torch.cat([torch.arange(p, length, groups) for p in range(groups)]).to(half.device)
        lines = half.index_select(3, order).view(3, b, heads, op.head_dim, groups, length // groups, across)
        q, k, v = lines.permute(0, 1, 4, 2, 5, 6, 3).reshape(3, b * groups, heads, -1, op.head_dim).unbind(0)
        mixed = attend(q, k, v, op.head_dim**-0.5 if op.scale is None else op.scale)
        mixed = mixed.view(b, groups, heads, length // groups, across, op.head_dim).permute(0, 2, 5, 1, 3, 4)
        return mixed.reshape(b, -1, length, across).index_select(2, order.argsort())

    halves = grouped(by_rows, rows), grouped(by_columns.transpose(3, 4), columns).transpose(2, 3)
    return op.projection(torch.cat(halves, 1).permute(0, 2, 3, 1))


def vanilla_pale_attention(op, grid: Tensor) -> Tensor:
    """One pale after the other: its tokens picked by index, its results added to the map, the sum divided by the count."""
    b, h, w, _ = grid.shape
    image = grid.permute(0, 3, 1, 2).contiguous()
    parts = [to_tokens(separable(branch, image)) for branch in (op.qkv.q, op.qkv.k, op.qkv.v)]
    q, k, v = (part.reshape(b, h * w, -1, op.head_dim).transpose(1, 2) for part in parts)
    pales = max(-(-h // op.pale[0]), -(-w // op.pale[1]))
    row, column = torch.arange(h, device=grid.device)[:, None], torch.arange(w, device=grid.device)
    total, count = torch.zeros_like(q), torch.zeros(h * w, 1, dtype=q.dtype, device=q.device)
    for number in range(pales):
        index = ((row % pales == number) | (column % pales == number)).flatten().nonzero().squeeze(1)
        mixed = attend(q[:, :, index], k[:, :, index], v[:, :, index], op.head_dim**-0.5)
        total = total.index_add(2, index, mixed)
        count[index] += 1
    return op.projection(from_heads(total / count)).view(grid.shape)


def axial_attention(op, grid: Tensor) -> Tensor:
    """Columns, then rows; each axis brought next to last by a copy."""
    c = grid.shape[3]

    def lines(x: Tensor, qkv) -> Tensor:
        b_, lines_, length, _ = x.shape
        q, k, v = to_heads(qkv(x.reshape(b_ * lines_, length, c)), op.head_dim)
        return from_heads(attend(q, k, v, op.head_dim**-0.5)).view(b_, lines_, length, c)

    columns = lines(grid.permute(0, 2, 1, 3).contiguous(), op.qkv).permute(0, 2, 1, 3).contiguous()
    return op.projection(lines(columns, op.qkv_rows))


def position_sensitive_attention(op, grid: Tensor) -> Tensor:
    """Axial-DeepLab's: einsums with tables gathered for each pair."""

    def lines(axis, x: Tensor) -> Tensor:
        b, m, length, c = x.shape
        d, half = axis.head_dim, axis.head_dim // 2
        joint = axis.qkv(x).view(b * m, length, -1, 2 * d).permute(0, 2, 3, 1)
        q, k, v = joint.split((half, half, d), dim=2)
        span = (axis.table.shape[0] + 1) // 2
        place = torch.arange(length, device=x.device)
        index = (place[None, :] - place[:, None] + span - 1).flatten()
        tables = axis.table.T.index_select(1, index).view(2 * d, length, length)
        q_table, k_table, v_table = tables.split((half, half, d))
        scores = torch.einsum("bnci,bncj->bnij", q, k)
        scores = scores + torch.einsum("bnci,cij->bnij", q, q_table)
        scores = scores + torch.einsum("bncj,cij->bnij", k, k_table)
        weights = (scores * axis.scale).softmax(-1)
        mixed = torch.einsum("bnij,bncj->bnci", weights, v) + torch.einsum("bnij,cij->bnci", weights, v_table)
        return mixed.permute(0, 3, 1, 2).reshape(b, m, length, c)

    columns = lines(op.columns, grid.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)
    return op.projection(lines(op.rows, columns))


@functools.cache
def neighbours(h: int, w: int, kernel_size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(t, k**2) numbers of the keys, and as many numbers of the entries of a (2k - 1)**2 table."""

    def axis(size: int) -> tuple[Tensor, Tensor]:
        place = torch.arange(size)
        first = (place - kernel_size // 2).clamp(0, size - kernel_size)
        keys = first[:, None] + torch.arange(kernel_size)
        return keys, keys - place[:, None] + kernel_size - 1

    (rows, row_steps), (columns, column_steps) = axis(h), axis(w)
    keys = rows[:, None, :, None] * w + columns[None, :, None, :]
    steps = row_steps[:, None, :, None] * (2 * kernel_size - 1) + column_steps[None, :, None, :]
    return keys.reshape(h * w, -1).to(device), steps.reshape(h * w, -1).to(device)


def neighborhood_attention(op, grid: Tensor) -> Tensor:
    """Every query's keys and values gathered: kernel_size**2 copies of the map."""
    _, h, w, _ = grid.shape
    index, steps = neighbours(h, w, op.kernel_size, grid.device)
    q, k, v = to_heads(op.qkv(grid.flatten(1, 2)), op.head_dim)
    bias = op.position_bias.flatten(1)[:, steps]
    scores = (q.unsqueeze(3) * op.head_dim**-0.5 @ k[:, :, index].transpose(-2, -1)).squeeze(3) + bias
    mixed = (scores.softmax(-1).unsqueeze(3) @ v[:, :, index]).squeeze(3)
    return op.projection(from_heads(mixed)).view(grid.shape)


def kmeans_labels(q: Tensor, clusters: int, iterations: int) -> Tensor:
    """(b, n, t, d) -> (b, n, t): k-means on the cosine, from equal stretches of the raster order."""
    t = q.shape[2]
    labels = (torch.arange(t, device=q.device) * clusters // t).expand(q.shape[:3])
    q, centres = q.detach(), None
    for _ in range(iterations + 1):
        member = F.one_hot(labels, clusters).to(q.dtype)
        moved = F.normalize(torch.einsum("bntg,bntd->bngd", member, q), dim=-1)
        empty = member.sum(2).unsqueeze(-1) == 0
        centres = moved if centres is None else torch.where(empty, centres, moved)
        labels = torch.einsum("bntd,bngd->bntg", q, centres).argmax(-1)
    return labels


def kmeans_attention(op, grid: Tensor) -> Tensor:
    """Scores of all pairs, those of different clusters filled with minus infinity."""
    _, h, w, _ = grid.shape
    qkv = op.qkv(grid.flatten(1, 2))
    q, k, v = to_heads(qkv, op.head_dim)
    labels = kmeans_labels(q, -(-h * w // op.cluster_size), op.iterations)
    scores = (q @ k.transpose(-2, -1)) * op.scale
    scores = scores.masked_fill(labels.unsqueeze(3) != labels.unsqueeze(2), -torch.inf)
    near = lepe(op, qkv, h, w)
    return op.projection(from_heads(scores.softmax(-1) @ v) + near).view(grid.shape)


def lepe(op, qkv: Tensor, h: int, w: int) -> Tensor:
    """The depth-wise convolution of the values, as tokens."""
    c = op.width
    image = to_map(qkv[..., 2 * c :], h, w)
    return to_tokens(F.conv2d(image, op.position.weight, op.position.bias, padding=1, groups=c))


def deformable_attention(op, grid: Tensor) -> Tensor:
    """DAT's: channels first, groups in the batch, the table sampled anew for every image."""
    b, h, w, c = grid.shape
    g, heads, d = op.groups, c // op.head_dim, op.head_dim
    conv = op.neighbours
    image = grid.permute(0, 3, 1, 2).contiguous()
    q = F.conv2d(image, op.query.weight[:, :, None, None], op.query.bias)
    near = F.conv2d(
        q.reshape(b * g, c // g, h, w), conv.weight, conv.bias, conv.stride, conv.padding, groups=c // g
    ).permute(0, 2, 3, 1)
    offset = op.offset(near)
    rows, columns = offset.shape[1:3]
    spread = torch.tensor([1 / max(rows - 1, 1), 1 / max(columns - 1, 1)], dtype=grid.dtype, device=grid.device)
    offset = offset.tanh() * spread * op.offset_range
    axes = [torch.linspace(-1, 1, n, dtype=grid.dtype, device=grid.device) for n in (rows, columns)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) + offset
    sampled = F.grid_sample(image.reshape(b * g, c // g, h, w), points.flip(-1), "bilinear", align_corners=True)
    n = rows * columns
    keys_values = op.key_value(sampled.reshape(b, c, n).transpose(1, 2))
    k, v = keys_values.reshape(b, n, 2, heads, d).permute(2, 0, 3, 1, 4).unbind(0)
    axes = [torch.linspace(-1, 1, n, dtype=grid.dtype, device=grid.device) for n in (h, w)]
    queries = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).view(1, h * w, 1, 2)
    steps = (queries - points.reshape(b * g, 1, n, 2)) * 0.5
    tables = op.table[None].expand(b, -1, -1, -1).reshape(b * g, heads // g, *op.table.shape[1:])
    bias = F.grid_sample(tables, steps.flip(-1), "bilinear", align_corners=True).reshape(b, heads, h * w, n)
    q = q.reshape(b, heads, d, h * w).transpose(-2, -1)
    mixed = attend(q, k, v, d**-0.5, bias)
    return op.projection(from_heads(mixed)).view(grid.shape)


def performer_attention(op, grid: Tensor) -> Tensor:
    """T2T's: random features and normaliser by einsum, repeated to full size."""
    b, h, w, _ = grid.shape
    k, q, v = op.kqv(grid.flatten(1, 2)).split(op.projection.in_features, -1)
    m, c = op.directions.shape

    def features(x: Tensor) -> Tensor:
        squares = ((x * x).sum(-1, keepdim=True)).repeat(1, 1, m) / 2
        return torch.exp(torch.einsum("btc,mc->btm", x, op.directions) - squares) / m**0.5

    k_features, q_features = features(k), features(q)
    total = torch.einsum("btm,bm->bt", q_features, k_features.sum(1)).unsqueeze(2)
    summary = torch.einsum("btc,btm->bcm", v, k_features)
    mixed = torch.einsum("btm,bcm->btc", q_features, summary) / (total.repeat(1, 1, c) + 1e-8)
    return (v + op.projection(mixed)).view(b, h, w, c)

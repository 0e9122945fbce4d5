"""Parts of the twins of window attentions, query by query. Nothing here comes from vitcore."""

import torch


def attention_over_sets(op, grid: torch.Tensor, keys_of, score_of) -> torch.Tensor:
    """Attend from each token of the map to the tokens that ``keys_of(i, j)`` lists.

    ``score_of(query, key)`` gives what is added to the score of each head; queries and keys are (row, column).
    """
    h, w, width = grid.shape[1:]
    d = op.head_dim
    joint = grid @ op.qkv.weight.T + (0 if op.qkv.bias is None else op.qkv.bias)
    tokens = []
    for i in range(h):
        for j in range(w):
            keys = keys_of(i, j)
            added = torch.stack([score_of((i, j), key) for key in keys])
            read = torch.stack([joint[:, y, x] for y, x in keys], 1)
            tokens.append(
                attend(joint[:, i, j, :width], read[..., width : 2 * width], read[..., 2 * width :], d, added)
            )
    return (torch.stack(tokens, 1) @ op.projection.weight.T + op.projection.bias).view(grid.shape)


def attend(q, k, v, d: int, added) -> torch.Tensor:
    """Softmax attention of each head, written out: one query (b, c), keys and values (b, s, c), added scores (s, heads)."""
    heads = []
    for head in range(q.shape[-1] // d):
        part = slice(head * d, (head + 1) * d)
        scores = (q[:, None, part] * k[..., part]).sum(-1) * d**-0.5 + added[:, head]
        weights = scores.exp() / scores.exp().sum(1, keepdim=True)
        heads.append((weights[..., None] * v[..., part]).sum(1))
    return torch.cat(heads, -1)


def band(place: int, side: int, window: int, shift: int) -> int:
    """Return the window of an axis that a row or column lies in; the lattice starts at ``shift``."""
    return 0 if side <= window else (place - shift) // window


def window_keys(h: int, w: int, window: int, shift: int):
    """Return a function that lists the tokens of the query's window."""
    if min(h, w) <= window:
        shift = 0

    def keys_of(i: int, j: int) -> list[tuple[int, int]]:
        return [
            (y, x)
            for y in range(h)
            for x in range(w)
            if band(y, h, window, shift) == band(i, h, window, shift)
            and band(x, w, window, shift) == band(j, w, window, shift)
        ]

    return keys_of


def table_score(table: torch.Tensor, window: int, strides: tuple[int, int] = (1, 1)):
    """Return a function that reads Swin's table at query - key, counted in strides."""

    def score_of(query: tuple[int, int], key: tuple[int, int]) -> torch.Tensor:
        dy, dx = (query[0] - key[0]) // strides[0], (query[1] - key[1]) // strides[1]
        return table[(dy + window - 1) * (2 * window - 1) + dx + window - 1]

    return score_of


def no_score(op):
    return lambda query, key: op.projection.weight.new_zeros(op.width // op.head_dim)

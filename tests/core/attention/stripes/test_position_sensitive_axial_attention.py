import pytest
import torch

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import linear
from vitcore import AxialAttention, PositionSensitiveAxialAttention


def line_by_loops(axis, line: torch.Tensor, span: int, scale: float) -> torch.Tensor:
    """Equation 4 along one line (b, l, c): each head has [q | k | v] of d/2, d/2 and d channels side by side."""
    d = axis.head_dim
    e = d // 2
    joint = linear(axis.qkv, line)
    out = []
    for o in range(line.shape[1]):
        heads = []
        for start in range(0, joint.shape[-1], 2 * d):
            q = joint[:, o, start : start + e]
            weights, values = [], []
            for p in range(line.shape[1]):
                if abs(p - o) >= span:
                    continue
                r = axis.table[p - o + span - 1]
                k = joint[:, p, start + e : start + d]
                score = (q * k).sum(-1) + (q * r[:e]).sum(-1) + (k * r[e:d]).sum(-1)
                weights.append((scale * score).exp())
                values.append(joint[:, p, start + d : start + 2 * d] + r[d:])
            heads.append(sum((a / sum(weights))[:, None] * v for a, v in zip(weights, values, strict=True)))
        out.append(torch.cat(heads, -1))
    return torch.stack(out, 1)


def both_axes_by_loops(op, grid: torch.Tensor, span: int, scale: float) -> torch.Tensor:
    h, w = grid.shape[1:3]
    columns = torch.stack([line_by_loops(op.columns, grid[:, :, j], span, scale) for j in range(w)], 2)
    rows = torch.stack([line_by_loops(op.rows, columns[:, i], span, scale) for i in range(h)], 1)
    return linear(op.projection, rows)


@pytest.mark.parametrize(("h", "w"), [(4, 3), (2, 6), (1, 1)])
@pytest.mark.parametrize(("span", "scale"), [(6, None), (3, 1.0), (1, None)])
def test_it_equals_the_equation_token_by_token(h, w, span, scale):
    op = randomise(PositionSensitiveAxialAttention(8, head_dim=4, span=span, scale=scale))
    used = 2**-0.5 if scale is None else scale
    assert_same_function(op, lambda grid: both_axes_by_loops(op, grid, span, used), random_grid(h, w, 8))


@pytest.mark.parametrize("span", [1, 2, 3, 6])
def test_a_token_sees_the_square_that_the_span_allows(span):
    op = randomise(PositionSensitiveAxialAttention(8, head_dim=4, span=span))
    square = {(i, j) for i, j in all_tokens(5, 6) if abs(i - 3) < span and abs(j - 1) < span}
    assert seen_tokens(op, 5, 6, 8, query=(3, 1)) == square


def test_tables_of_zeros_leave_plain_axial_attention():
    op, plain = PositionSensitiveAxialAttention(8, head_dim=4, span=6), AxialAttention(8, head_dim=4)
    randomise(op), randomise(plain)
    for axis, qkv in ((op.columns, plain.qkv), (op.rows, plain.qkv_rows)):
        axis.table.data.zero_()
        weight, bias = axis.qkv.weight.data.view(2, 8, 8), axis.qkv.bias.data.view(2, 8)
        qkv.weight.data.zero_(), qkv.bias.data.zero_()
        for head in range(2):
            for kind, rows in enumerate((slice(0, 2), slice(2, 4), slice(4, 8))):
                start = 8 * kind + 4 * head
                place = slice(start, start + rows.stop - rows.start)
                factor = 2**0.5 if kind == 0 else 1.0  # head_dim is twice as large there, half of it zeros
                qkv.weight.data[place], qkv.bias.data[place] = factor * weight[head, rows], factor * bias[head, rows]
    plain.projection.load_state_dict(op.projection.state_dict())
    grid = random_grid(5, 6, 8)
    torch.testing.assert_close(op(grid), plain(grid))


def test_bad_arguments_are_refused_with_their_value():
    with pytest.raises(ValueError, match=r"head_dim must divide width, got width=96, head_dim=28\."):
        PositionSensitiveAxialAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"head_dim must be even, .* got head_dim=3\."):
        PositionSensitiveAxialAttention(96, head_dim=3)
    with pytest.raises(ValueError, match=r"span must be at least 1, got span=0\."):
        PositionSensitiveAxialAttention(96, span=0)

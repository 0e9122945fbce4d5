import sys

import pytest
import torch
from torch.nn.functional import linear

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from vitcore import GlobalAttention, NeighborhoodAttention, neighborhood_attention


def window(place: int, size: int, kernel_size: int, dilation: int) -> list[int]:
    """The kernel_size places of the same residue class that are nearest to ``place``, fewer if the class has fewer."""
    same = list(range(place % dilation, size, dilation))
    number = min(kernel_size, len(same))
    first = same.index(place) - kernel_size // 2
    first = max(0, min(first, len(same) - number))
    return same[first : first + number]


def neighborhood_by_loops(op: NeighborhoodAttention, grid: torch.Tensor) -> torch.Tensor:
    """Equations 1-4: scores with the neighbours plus the bias of each displacement, softmax, weighted sum."""
    b, h, w, width = grid.shape
    d, size, dilation = op.head_dim, op.kernel_size, op.dilation
    q, k, v = (grid @ op.qkv.weight.T + op.qkv.bias).view(b, h, w, 3, width // d, d).unbind(3)
    out = torch.zeros(b, h, w, width, dtype=grid.dtype)
    for i in range(h):
        for j in range(w):
            scores, values = [], []
            for row in window(i, h, size, dilation):
                for column in window(j, w, size, dilation):
                    score = (q[:, i, j] * k[:, row, column]).sum(-1) * d**-0.5
                    if op.position_bias is not None:
                        down, across = (row - i) // dilation, (column - j) // dilation
                        score = score + op.position_bias[:, down + size - 1, across + size - 1]
                    scores.append(score)
                    values.append(v[:, row, column])
            weights = torch.stack(scores).exp()
            weights = weights / weights.sum(0)
            out[:, i, j] = (weights[..., None] * torch.stack(values)).sum(0).flatten(1)
    return out @ op.projection.weight.T + op.projection.bias


@pytest.mark.parametrize(
    ("h", "w", "kernel_size", "dilation"),
    [(5, 4, 3, 1), (10, 3, 3, 1), (3, 9, 5, 1), (2, 3, 5, 1), (1, 1, 3, 1), (7, 5, 3, 2), (3, 11, 3, 3), (2, 5, 3, 4)],
)
@pytest.mark.parametrize("position", ["relative", "none"])
def test_neighborhood_attention_equals_a_loop_over_neighbours(h, w, kernel_size, dilation, position):
    op = randomise(NeighborhoodAttention(4, 2, kernel_size, dilation, position))
    assert_same_function(op, lambda grid: neighborhood_by_loops(op, grid), random_grid(h, w, 4))


@pytest.mark.parametrize("query", [(0, 0), (8, 9), (4, 0), (4, 5), (1, 8)])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 1), (5, 1), (7, 1), (3, 2), (1, 1)])
def test_a_token_sees_the_whole_nearest_window_also_in_a_corner(query, kernel_size, dilation):
    op = randomise(NeighborhoodAttention(4, 2, kernel_size, dilation))
    rows, columns = (window(query[0], 9, kernel_size, dilation), window(query[1], 10, kernel_size, dilation))
    assert seen_tokens(op, 9, 10, 4, query) == {(i, j) for i in rows for j in columns}
    if dilation == 1:
        assert len(rows) == len(columns) == kernel_size


@pytest.mark.parametrize(("h", "w", "kernel_size"), [(3, 5, 5), (7, 7, 7), (1, 4, 7), (9, 9, 9)])
def test_a_kernel_that_covers_the_map_is_global_attention(h, w, kernel_size):
    op, other = randomise(NeighborhoodAttention(8, 4, kernel_size, position="none")), GlobalAttention(8, 4).double()
    other.load_state_dict(op.state_dict())
    torch.testing.assert_close(op(random_grid(h, w, 8)), other(random_grid(h, w, 8)))
    if (h, w) == (kernel_size, kernel_size):
        assert seen_tokens(randomise(NeighborhoodAttention(8, 4, kernel_size)), h, w, 8, (0, 0)) == all_tokens(h, w)


def test_with_kernel_1_each_token_gets_its_own_value():
    op, grid = randomise(NeighborhoodAttention(8, 4, 1)), random_grid(9, 4, 8)
    value = linear(grid, op.qkv.weight[16:], op.qkv.bias[16:])
    torch.testing.assert_close(op(grid), op.projection(value))


def test_a_dilated_window_is_a_plain_one_on_each_residue_class():
    q, k, v = (random_grid(6, 8, 8, seed=seed).detach().unflatten(3, (2, 4)) for seed in range(3))
    dilated = neighborhood_attention(q, k, v, 3, dilation=2)
    for row in (0, 1):
        for column in (0, 1):
            plain = neighborhood_attention(*(x[:, row::2, column::2] for x in (q, k, v)), 3)
            torch.testing.assert_close(dilated[:, row::2, column::2], plain)


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(
        ValueError, match=r"NeighborhoodAttention: head_dim must divide width, got width=96, head_dim=28"
    ):
        NeighborhoodAttention(96, head_dim=28)
    with pytest.raises(
        ValueError, match=r"NeighborhoodAttention: kernel_size must be odd and positive, got kernel_size=6"
    ):
        NeighborhoodAttention(32, kernel_size=6)
    with pytest.raises(ValueError, match=r"NeighborhoodAttention: dilation must be at least 1, got dilation=0\."):
        NeighborhoodAttention(32, dilation=0)
    with pytest.raises(ValueError, match=r"backend='natten' has no relative position, got position='relative'"):
        NeighborhoodAttention(32, backend="natten")


def test_keys_of_another_size_are_refused_with_all_sizes():
    q, k = random_grid(4, 5, 16).unflatten(3, (2, 8)), random_grid(4, 6, 16).unflatten(3, (2, 8))
    with pytest.raises(ValueError, match=r"one shape \(b, h, w, n, d\), got q \(2, 4, 5, 2, 8\), k \(2, 4, 6, 2, 8\)"):
        neighborhood_attention(q, k, k)


def test_without_natten_its_backend_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "natten", None)
    with pytest.raises(ImportError, match=r"backend='natten' needs the package natten: pip install vitcore\[natten\]"):
        NeighborhoodAttention(32, position="none", backend="natten")

import pytest
import torch

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import attend_everywhere, linear
from vitcore import AxialAttention, GlobalAttention


def sequential_by_loops(op: AxialAttention, grid: torch.Tensor) -> torch.Tensor:
    h, w = grid.shape[1:3]
    q, k, v = linear(op.qkv, grid).chunk(3, -1)
    columns = attend_everywhere(q, k, v, op.head_dim, lambda i, j: [(y, j) for y in range(h)])
    q, k, v = linear(op.qkv_rows, columns).chunk(3, -1)
    return linear(op.projection, attend_everywhere(q, k, v, op.head_dim, lambda i, j: [(i, x) for x in range(w)]))


def parallel_by_loops(op: AxialAttention, grid: torch.Tensor) -> torch.Tensor:
    h, w = grid.shape[1:3]
    q, k, v = linear(op.qkv, grid).chunk(3, -1)
    half = op.width // 2
    first, second = ([x[..., part] for x in (q, k, v)] for part in (slice(half), slice(half, None)))
    rows = attend_everywhere(*first, op.head_dim, lambda i, j: [(i, x) for x in range(w)])
    columns = attend_everywhere(*second, op.head_dim, lambda i, j: [(y, j) for y in range(h)])
    return linear(op.projection, torch.cat((rows, columns), -1))


TWINS = {"sequential": sequential_by_loops, "parallel": parallel_by_loops}


@pytest.mark.parametrize(("h", "w"), [(5, 4), (3, 7), (1, 4), (1, 1)])
@pytest.mark.parametrize("order", TWINS)
def test_axial_attention_equals_a_loop_over_queries(h, w, order):
    op = randomise(AxialAttention(8, head_dim=4, order=order))
    assert_same_function(op, lambda grid: TWINS[order](op, grid), random_grid(h, w, 8))


def test_in_parallel_a_token_sees_its_row_and_column_and_in_sequence_the_whole_map():
    parallel = randomise(AxialAttention(8, head_dim=4, order="parallel"))
    cross = {(i, j) for i, j in all_tokens(5, 6) if i == 3 or j == 1}
    assert seen_tokens(parallel, 5, 6, 8, query=(3, 1)) == cross
    assert seen_tokens(randomise(AxialAttention(8, head_dim=4)), 5, 6, 8, query=(3, 1)) == all_tokens(5, 6)


def test_on_one_row_parallel_attention_along_columns_returns_the_values():
    op, grid = randomise(AxialAttention(8, head_dim=4, order="parallel")), random_grid(1, 6, 8)
    plain = GlobalAttention(8, head_dim=4).double()
    plain.load_state_dict(op.state_dict())
    for part in (op.projection, plain.projection):
        part.weight.data = torch.eye(8, dtype=torch.float64)
        part.bias.data.zero_()
    torch.testing.assert_close(op(grid)[..., :4], plain(grid)[..., :4])
    torch.testing.assert_close(op(grid)[..., 4:], op.qkv(grid)[..., 20:])


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(ValueError, match=r"AxialAttention: head_dim must divide width, got width=96, head_dim=28\."):
        AxialAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"an even number of heads for order='parallel', got width=96, head_dim=32\."):
        AxialAttention(96, head_dim=32, order="parallel")

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from tests.core.window_twins import attention_over_sets, no_score, table_score
from vitcore import (
    GlobalAttention,
    NoPosition,
    ShuffledWindowAttention,
    WindowAttention,
    shuffle_merge,
    shuffle_partition,
    shuffled_window_attention,
    window_partition,
)


def strides(h: int, w: int, window: int) -> tuple[int, int]:
    return -(-h // window), -(-w // window)


def spread_keys(h: int, w: int, window: int):
    n, m = strides(h, w, window)
    return lambda i, j: [(y, x) for y in range(i % n, h, n) for x in range(j % m, w, m)]


@pytest.mark.parametrize(("h", "w"), [(6, 6), (7, 5), (3, 9), (2, 8), (1, 1)])
def test_shuffled_windows_equal_a_loop_over_the_tokens_at_stride(h, w):
    op = randomise(ShuffledWindowAttention(8, window=3, head_dim=4))
    keys_of, score_of = spread_keys(h, w, 3), table_score(op.position.table, 3, strides(h, w, 3))
    assert_same_function(op, lambda grid: attention_over_sets(op, grid, keys_of, score_of), random_grid(h, w, 8))


def test_the_loop_holds_without_positions_and_with_all_biases():
    op = randomise(ShuffledWindowAttention(8, window=4, head_dim=4, position=NoPosition, bias="all"))
    keys_of = spread_keys(9, 6, 4)
    assert_same_function(op, lambda grid: attention_over_sets(op, grid, keys_of, no_score(op)), random_grid(9, 6, 8))


@pytest.mark.parametrize(
    ("size", "query", "rows", "columns"),
    [
        ((8, 12), (5, 4), {1, 3, 5, 7}, {1, 4, 7, 10}),
        ((9, 7), (8, 0), {2, 5, 8}, {0, 2, 4, 6}),
        ((4, 5), (1, 1), {0, 1, 2, 3}, {1, 3}),
        ((3, 9), (0, 8), {0, 1, 2}, {2, 5, 8}),
    ],
)
def test_a_token_sees_exactly_the_tokens_at_whole_strides(size, query, rows, columns):
    op = randomise(ShuffledWindowAttention(8, window=4, head_dim=4))
    assert seen_tokens(op, *size, 8, query) == {(i, j) for i in rows for j in columns}


@pytest.mark.parametrize(("h", "w"), [(4, 4), (3, 4), (2, 1)])
def test_on_a_map_within_one_window_shuffling_changes_nothing(h, w):
    shuffled, plain = (
        randomise(cls(8, window=4, head_dim=4, bias="all")) for cls in (ShuffledWindowAttention, WindowAttention)
    )
    grid = random_grid(h, w, 8)
    assert torch.equal(shuffled(grid), plain(grid))


def test_a_window_that_covers_the_map_is_global_attention():
    op = randomise(ShuffledWindowAttention(8, window=7, head_dim=4, position=NoPosition))
    everywhere = GlobalAttention(8, head_dim=4, bias="projection").double()
    everywhere.load_state_dict(op.state_dict())
    grid = random_grid(6, 5, 8)
    torch.testing.assert_close(op(grid), everywhere(grid))


def test_one_layer_of_each_connects_all_tokens():
    plain, shuffled = (randomise(cls(8, window=3, head_dim=4)) for cls in (WindowAttention, ShuffledWindowAttention))
    assert seen_tokens(lambda grid: shuffled(plain(grid)), 9, 6, 8, (4, 1)) == all_tokens(9, 6)


@pytest.mark.parametrize(("h", "w"), [(8, 12), (7, 5), (2, 9)])
def test_the_function_on_queries_keys_and_values_is_the_op_between_its_projections(h, w):
    op = randomise(ShuffledWindowAttention(8, window=4, head_dim=4))
    grid = random_grid(h, w, 8)
    q, k, v = op.qkv(grid).view(2, h, w, 3, 2, 4).unbind(3)
    mixed = shuffled_window_attention(q, k, v, 4, op.position(min(h, 4), min(w, 4)))
    assert mixed.shape == q.shape
    torch.testing.assert_close(op.projection(mixed.flatten(3)), op(grid))


sides = st.integers(1, 9)


@settings(deadline=None, max_examples=60)
@given(h=sides, w=sides, rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_merging_undoes_partitioning(h, w, rows, columns):
    grid = torch.arange(2.0 * h * w * 3).view(2, h, w, 3)
    windows = shuffle_partition(grid, (rows, columns))
    assert windows.shape == (2 * -(-h // rows) * -(-w // columns), rows * columns, 3)
    assert torch.equal(shuffle_merge(windows, (h, w), (rows, columns)), grid)


def test_shuffled_windows_hold_one_token_of_each_plain_window():
    grid = torch.arange(81).view(1, 9, 9, 1)
    plain, shuffled = window_partition(grid, (3, 3)).squeeze(2), shuffle_partition(grid, (3, 3)).squeeze(2)
    assert torch.equal(shuffled, plain.T)


def test_the_cost_includes_the_padding():
    op = ShuffledWindowAttention(8, window=4, head_dim=4)
    assert op.macs(7, 5) == op.macs(8, 8) == 64 * (4 * 64 + 2 * 16 * 8)


def test_bad_arguments_are_refused_with_both_values():
    with pytest.raises(
        ValueError, match=r"ShuffledWindowAttention: head_dim must divide width, got width=96, head_dim=28\."
    ):
        ShuffledWindowAttention(96, head_dim=28)
    with pytest.raises(ValueError, match=r"ShuffledWindowAttention: window must be at least 1, got window=0\."):
        ShuffledWindowAttention(96, window=0)

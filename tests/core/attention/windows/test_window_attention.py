import functools

import pytest
import torch
from torch import nn

from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from tests.core.window_twins import attention_over_sets, no_score, table_score, window_keys
from tests.golden_records import OpRecord
from vitcore import (
    AbsolutePositionBias,
    ContinuousPositionBias,
    GlobalAttention,
    Mlp,
    NoPosition,
    WindowAttention,
    window_attention,
    window_merge,
    window_partition,
)
from vitcore.attention.windows.window_attention import window_pairs


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize(("h", "w"), [(6, 6), (7, 5), (4, 8), (3, 7), (2, 5), (1, 1)])
def test_window_attention_equals_a_loop_over_the_tokens_of_each_window(h, w, shift):
    op = randomise(WindowAttention(8, window=3, shift=shift, head_dim=4))
    keys_of, score_of = window_keys(h, w, 3, shift), table_score(op.position.table, 3)
    assert_same_function(op, lambda grid: attention_over_sets(op, grid, keys_of, score_of), random_grid(h, w, 8))


def test_the_loop_holds_without_positions_and_with_a_bias_in_the_projection_only():
    op = randomise(WindowAttention(8, window=4, shift=2, head_dim=4, position=NoPosition, bias="projection"))
    keys_of = window_keys(7, 9, 4, 2)
    assert_same_function(op, lambda grid: attention_over_sets(op, grid, keys_of, no_score(op)), random_grid(7, 9, 8))


def test_the_loop_holds_for_a_number_for_each_pair_of_places():
    op = randomise(WindowAttention(8, window=3, shift=1, head_dim=4, position=AbsolutePositionBias))

    def place(token):  # rows -2, -1 and 0 fill one window: what lies before the shift sits at a window's end
        return (token[0] - 1) % 3 * 3 + (token[1] - 1) % 3

    def score_of(query, key):
        return op.position.table[:, place(query), place(key)]

    keys_of = window_keys(7, 5, 3, 1)
    assert_same_function(op, lambda grid: attention_over_sets(op, grid, keys_of, score_of), random_grid(7, 5, 8))


@pytest.mark.parametrize(
    ("size", "shift", "query", "rows", "columns"),
    [
        ((8, 12), 0, (5, 3), range(4, 8), range(4)),
        ((8, 12), 1, (0, 3), range(1), range(1, 5)),
        ((8, 12), 3, (2, 11), range(3), range(11, 12)),
        ((8, 12), 2, (7, 10), range(6, 8), range(10, 12)),
        ((9, 7), 0, (8, 5), range(8, 9), range(4, 7)),
        ((9, 7), 3, (8, 1), range(7, 9), range(3)),
        ((9, 7), 3, (5, 4), range(3, 7), range(3, 7)),
        ((4, 9), 2, (1, 1), range(4), range(4)),
        ((3, 9), 2, (0, 8), range(3), range(8, 9)),
    ],
)
def test_a_token_sees_exactly_its_band_of_rows_and_columns(size, shift, query, rows, columns):
    op = randomise(WindowAttention(8, window=4, shift=shift, head_dim=4))
    assert seen_tokens(op, *size, 8, query) == {(i, j) for i in rows for j in columns}


@pytest.mark.parametrize(("h", "w"), [(5, 5), (7, 4), (2, 6), (1, 3)])
def test_a_window_that_covers_the_map_is_global_attention(h, w):
    op = randomise(WindowAttention(8, window=7, shift=3, head_dim=4, position=NoPosition))
    everywhere = GlobalAttention(8, head_dim=4).double()
    everywhere.load_state_dict(op.state_dict())
    grid = random_grid(h, w, 8)
    torch.testing.assert_close(op(grid), everywhere(grid))


def test_windows_are_independent_of_each_other():
    op = randomise(WindowAttention(8, window=3, head_dim=4))
    grid = random_grid(9, 6, 8)
    torch.testing.assert_close(op(grid)[:, 3:6, :3], op(grid[:, 3:6, :3]))


@pytest.mark.parametrize(("h", "w"), [(4, 4), (4, 8), (9, 3)])
def test_nothing_is_shifted_where_a_window_is_as_long_as_a_side_of_the_map(h, w):
    shifted, plain = (randomise(WindowAttention(8, window=4, shift=shift, head_dim=4)) for shift in (2, 0))
    grid = random_grid(h, w, 8)
    assert torch.equal(shifted(grid), plain(grid))


def test_a_smaller_map_uses_the_middle_of_the_table():
    large, small = (randomise(WindowAttention(8, window=window, head_dim=4)) for window in (6, 4))
    small.position.table.data = large.position.table.data.view(11, 11, 2)[2:9, 2:9].reshape(49, 2)
    grid = random_grid(4, 4, 8)
    torch.testing.assert_close(large(grid), small(grid))


def test_padding_is_not_attended_to():
    """With keys that are all equal each token gets the mean of those that it attends to; a map of 7 x 5 is filled up to 9 x 6."""
    op = randomise(WindowAttention(8, window=3, head_dim=4, position=NoPosition))
    with torch.no_grad():
        op.qkv.weight[8:16] = 0
    grid = random_grid(7, 5, 8)
    corner = grid[:, 6:, 3:].mean(dim=(1, 2))
    expected = op.projection(op.qkv(corner)[:, 16:])
    torch.testing.assert_close(op(grid)[:, 6, 4], expected)


@pytest.mark.parametrize(("h", "w", "shift"), [(8, 8, 0), (8, 12, 2), (7, 5, 1), (2, 9, 2)])
def test_the_function_on_queries_keys_and_values_is_the_op_between_its_projections(h, w, shift):
    op = randomise(WindowAttention(8, window=4, shift=shift, head_dim=4))
    grid = random_grid(h, w, 8)
    q, k, v = op.qkv(grid).view(2, h, w, 3, 2, 4).unbind(3)
    mixed = window_attention(q, k, v, 4, shift, op.position(min(h, 4), min(w, 4)))
    assert mixed.shape == q.shape
    torch.testing.assert_close(op.projection(mixed.flatten(3)), op(grid))


def test_a_mask_is_built_only_where_one_is_needed():
    assert window_pairs((8, 12), (4, 4), 0, torch.device("cpu")) is None
    assert window_pairs((8, 12), (4, 4), 1, torch.device("cpu")).shape == (6, 1, 16, 16)
    assert window_pairs((8, 11), (4, 4), 0, torch.device("cpu")).shape == (6, 1, 16, 16)


NAMES = {"relative_position_bias_table": "position.table", "proj": "projection"}


def rename(name: str) -> str:
    for old, new in NAMES.items():
        name = name.replace(old, new)
    return name


def swin_attention(shift: int) -> WindowAttention:
    return WindowAttention(32, window=7, shift=shift, head_dim=8)


def assert_weight_gradients_match(record: OpRecord, module: nn.Module, y: torch.Tensor, names) -> None:
    module.zero_grad()
    y.square().mean().backward()
    parameters = dict(module.named_parameters())
    for name, norm in record.meta["grad_l2_fp64"].items():
        assert parameters[names(name)].grad.norm().item() == pytest.approx(norm, rel=1e-6), name


def test_window_attention_equals_the_public_swin():
    record = OpRecord("swin_window_attention")
    op = record.load(swin_attention(0), rename)
    record.assert_matches(lambda x: op(x.view(-1, 7, 7, 32)).flatten(1, 2))
    assert_weight_gradients_match(record, op, op(record.x.view(-1, 7, 7, 32)), rename)


def test_shifted_windows_equal_the_public_swin_with_its_mask():
    record = OpRecord("swin_window_attention_masked")
    op = record.load(swin_attention(3), rename)

    def function(x):
        return window_partition(op(window_merge(x, (14, 14), (7, 7), 3)), (7, 7), 3)

    record.assert_matches(function)
    assert_weight_gradients_match(record, op, function(record.x), rename)
    pairs = window_pairs((14, 14), (7, 7), 3, torch.device("cpu"))
    assert torch.equal(pairs.squeeze(1), record.tensor("mask") == 0)


class SwinBlock(nn.Module):
    def __init__(self, shift: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(32), swin_attention(shift)
        self.norm2, self.mlp = nn.LayerNorm(32), Mlp(32)

    def forward(self, x):
        grid = x.view(-1, 14, 14, 32)
        grid = grid + self.attn(self.norm1(grid))
        return (grid + self.mlp(self.norm2(grid))).flatten(1, 2)


@pytest.mark.parametrize("shift", [0, 3])
def test_a_block_around_the_op_equals_the_public_swin_block(shift):
    def names(name):
        return rename(name).replace("fc1", "expand").replace("fc2", "contract")

    record = OpRecord(f"swin_block_shift{shift}")
    weights = record.weights()
    record.weights = lambda: {name: value for name, value in weights.items() if name != "attn_mask"}
    block = record.load(SwinBlock(shift), names)
    record.assert_matches(block)
    assert_weight_gradients_match(record, block, block(record.x), names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head_dim": 28}, r"WindowAttention: head_dim must divide width, got width=96, head_dim=28\."),
        ({"window": 0}, r"WindowAttention: window must be at least 1, got window=0\."),
        ({"shift": 7}, r"WindowAttention: shift must lie in 0\.\.window-1, got window=7, shift=7\."),
        ({"shift": -1}, r"WindowAttention: shift must lie in 0\.\.window-1, got window=7, shift=-1\."),
    ],
)
def test_bad_arguments_are_refused_with_both_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        WindowAttention(96, **arguments)


def test_the_cost_includes_the_padding_and_the_position():
    position = functools.partial(ContinuousPositionBias, hidden=5)
    op = WindowAttention(8, window=4, head_dim=4, position=position)
    assert op.macs(8, 8) == 64 * (4 * 64 + 2 * 16 * 8) + 49 * 5 * (2 + 2)
    assert op.macs(7, 5) == op.macs(8, 8)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(("h", "w"), [(6, 6), (7, 5), (2, 4)])
def test_padding_that_is_seen_is_a_larger_map_that_is_cropped(h, w, shift):
    op = randomise(WindowAttention(8, window=3, shift=shift, head_dim=4, padding="seen"))
    down, across = -h % 3, -w % 3

    def keys_of(i, j):
        return [
            (y, x)
            for y in range(h + down)
            for x in range(w + across)
            if (y - shift) // 3 == (i - shift) // 3 and (x - shift) // 3 == (j - shift) // 3
        ]

    def twin(grid):
        padded = nn.functional.pad(grid, (0, 0, 0, across, 0, down))
        return attention_over_sets(op, padded, keys_of, table_score(op.position.table, 3))[:, :h, :w]

    assert_same_function(op, twin, random_grid(h, w, 8))

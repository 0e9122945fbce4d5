import pytest
import torch
from torch import nn

from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import batch_norm, depthwise_at, linear
from vitcore import LinearProjection, SeparableProjection


def separable_by_loops(conv, grid: torch.Tensor, stride: int) -> torch.Tensor:
    h, w = grid.shape[1:3]
    rows = [
        torch.stack([depthwise_at(conv.depthwise, grid, i, j, range(h), range(w)) for j in range(0, w, stride)], dim=1)
        for i in range(0, h, stride)
    ]
    return linear(conv.pointwise, batch_norm(conv.norm, torch.stack(rows, 1)))


@pytest.mark.parametrize(("h", "w"), [(4, 6), (7, 5), (1, 1)])
@pytest.mark.parametrize(("reduction", "kernel_size", "bias"), [(1, 3, "all"), (2, 3, "pointwise"), (3, 5, "none")])
def test_separable_projection_equals_its_three_steps_token_by_token(h, w, reduction, kernel_size, bias):
    op = randomise(SeparableProjection(6, kernel_size, reduction, bias))
    grid = random_grid(h, w, 6)
    for index, (part, stride) in enumerate(((op.q, 1), (op.k, reduction), (op.v, reduction))):
        y = op(grid)[index]
        assert y.shape[1:3] == ((h, w) if index == 0 else op.key_size(h, w))
        assert_same_function(part, lambda x, part=part, stride=stride: separable_by_loops(part, x, stride), grid)
        torch.testing.assert_close(y, part(grid))


@pytest.mark.parametrize(("bias", "depthwise", "pointwise"), [("all", 1, 1), ("pointwise", 0, 1), ("none", 0, 0)])
def test_the_biases_are_where_the_argument_says(bias, depthwise, pointwise):
    op = SeparableProjection(6, bias=bias)
    assert [part.depthwise.bias is not None for part in (op.q, op.k, op.v)] == [depthwise] * 3
    assert [part.pointwise.bias is not None for part in (op.q, op.k, op.v)] == [pointwise] * 3


def test_linear_projection_is_ordered_queries_keys_values():
    op, grid = randomise(LinearProjection(6)), random_grid(3, 4, 6)
    for index, part in enumerate(op(grid)):
        rows = slice(6 * index, 6 * index + 6)
        torch.testing.assert_close(part, grid @ op.joint.weight[rows].T + op.joint.bias[rows])
    assert LinearProjection(6, bias="none").joint.bias is None


def test_a_linear_projection_sees_one_token_and_a_separable_one_its_neighbours():
    linear_op, separable = randomise(LinearProjection(6)), randomise(SeparableProjection(6))
    assert seen_tokens(lambda grid: torch.cat(linear_op(grid), -1), 5, 5, 6, query=(2, 2)) == {(2, 2)}
    square = {(i, j) for i in range(1, 4) for j in range(1, 4)}
    assert seen_tokens(lambda grid: torch.cat(separable(grid), -1), 5, 5, 6, query=(2, 2)) == square


def test_a_middle_tap_of_one_without_a_norm_is_the_linear_projection():
    separable, plain = SeparableProjection(6, norm=nn.Identity).double(), randomise(LinearProjection(6))
    for part, weight, bias in zip(
        (separable.q, separable.k, separable.v), plain.joint.weight.chunk(3), plain.joint.bias.chunk(3), strict=True
    ):
        part.depthwise.weight.data.zero_()
        part.depthwise.weight.data[:, :, 1, 1] = 1
        part.depthwise.bias.data.zero_()
        part.pointwise.weight.data, part.pointwise.bias.data = weight.detach(), bias.detach()
    grid = random_grid(4, 5, 6)
    for ours, theirs in zip(separable(grid), plain(grid), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_prefix_bypasses_the_filters():
    op, prefix = randomise(SeparableProjection(6)), random_grid(1, 2, 6).squeeze(1)
    for part, y in zip((op.q, op.k, op.v), op.project_prefix(prefix), strict=True):
        torch.testing.assert_close(y, prefix @ part.pointwise.weight.T + part.pointwise.bias)


def test_bad_arguments_are_refused_with_their_value():
    with pytest.raises(
        ValueError, match=r"SeparableProjection: kernel_size must be odd and positive, got kernel_size=4"
    ):
        SeparableProjection(8, kernel_size=4)
    with pytest.raises(ValueError, match=r"SeparableProjection: reduction must be at least 1, got reduction=0\."):
        SeparableProjection(8, reduction=0)

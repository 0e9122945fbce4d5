import pytest

from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import convolution_by_loops
from vitcore import ConditionalPosition


@pytest.mark.parametrize(("h", "w", "kernel_size"), [(4, 3, 3), (3, 5, 5), (1, 1, 3), (1, 4, 3)])
def test_a_position_is_a_weighted_sum_over_the_neighbourhood(h, w, kernel_size):
    op = randomise(ConditionalPosition(6, kernel_size))
    conv = op.convolution
    assert_same_function(
        op,
        lambda grid: convolution_by_loops(grid, conv.weight, conv.bias, padding=kernel_size // 2),
        random_grid(h, w, 6),
    )


def test_it_sees_only_the_neighbourhood():
    op = randomise(ConditionalPosition(4))
    assert seen_tokens(op, 6, 5, 4, query=(2, 0)) == {(i, j) for i in (1, 2, 3) for j in (0, 1)}


def test_the_border_shows_on_a_constant_map():
    op = randomise(ConditionalPosition(4))
    constant = random_grid(1, 1, 4).expand(2, 5, 5, 4)
    y = op(constant)
    assert (y[:, 2, 2] - y[:, 2, 1]).abs().max() == 0
    assert (y[:, 2, 2] - y[:, 0, 2]).abs().max() > 1e-3


def test_the_skeleton_adds_the_residual_not_the_op():
    op = ConditionalPosition(4).double()
    op.convolution.weight.data.zero_()
    op.convolution.bias.data.zero_()
    assert op(random_grid(3, 3, 4)).abs().max() == 0


def test_the_prefix_is_left_alone():
    op = ConditionalPosition(4).double()
    assert op.forward_prefixed(random_grid(3, 3, 4), random_grid(1, 2, 4).squeeze(1))[1] is None


def test_an_even_kernel_is_refused():
    with pytest.raises(
        ValueError, match=r"ConditionalPosition: kernel_size must be odd and positive, got kernel_size=2\."
    ):
        ConditionalPosition(4, kernel_size=2)

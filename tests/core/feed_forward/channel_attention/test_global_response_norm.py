import torch

from tests.core.checks import all_tokens, assert_same_function, random_grid, randomise, seen_tokens
from vitcore import GlobalResponseNorm


def response_norm_by_loops(op: GlobalResponseNorm, grid: torch.Tensor) -> torch.Tensor:
    """Equations 1-3 channel by channel, and the sum of Algorithm 1."""
    h, w, width = grid.shape[1:]
    norms = [sum(grid[:, i, j, c] ** 2 for i in range(h) for j in range(w)).sqrt() for c in range(width)]
    mean = sum(norms) / width
    channels = []
    for c in range(width):
        share = (norms[c] / (mean + 1e-6))[:, None, None]
        channels.append(op.weight[c] * (grid[..., c] * share) + op.bias[c] + grid[..., c])
    return torch.stack(channels, -1)


def test_it_equals_its_equations():
    op = randomise(GlobalResponseNorm(5))
    for h, w in [(3, 4), (1, 1)]:
        assert_same_function(op, lambda grid: response_norm_by_loops(op, grid), random_grid(h, w, 5))


def test_it_is_the_identity_at_the_start():
    grid = random_grid(3, 4, 8)
    assert torch.equal(GlobalResponseNorm(8).double()(grid), grid)


def test_a_channel_s_scale_sees_the_whole_map():
    op = randomise(GlobalResponseNorm(4))
    assert seen_tokens(op, 3, 4, 4, query=(1, 1)) == all_tokens(3, 4)


def test_a_map_of_zeros_stays_finite_in_value_and_gradient():
    op = randomise(GlobalResponseNorm(4))
    grid = torch.zeros(1, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    op(grid).sum().backward()
    assert grid.grad.isfinite().all()


def test_half_precision_does_not_overflow_where_the_squares_do():
    op = randomise(GlobalResponseNorm(4)).half()
    y = op(torch.full((1, 56, 56, 4), 2000.0, dtype=torch.float16))
    assert y.dtype == torch.float16
    assert y.isfinite().all()

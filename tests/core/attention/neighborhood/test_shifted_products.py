import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitcore.attention.neighborhood.shifted_products import (
    flatten_keys,
    flatten_queries,
    shift_starts,
    shifted_mixture,
    shifted_scores,
    unflatten_queries,
)

sides, kernels = st.integers(1, 6), st.sampled_from([1, 3, 5])


@given(b=st.integers(1, 3), h=sides, w=sides, heads=st.integers(1, 3), kernel_size=kernels)
def test_unflattening_undoes_flattening(b, h, w, heads, kernel_size):
    grid = torch.arange(b * h * w * heads * 2.0).view(b, h, w, heads, 2)
    assert torch.equal(unflatten_queries(flatten_queries(grid, kernel_size), h, w, heads), grid)


@given(h=sides, w=sides, kernel_size=kernels)
def test_each_view_shows_the_neighbour_of_every_query_or_zero(h, w, kernel_size):
    grid = 1 + torch.arange(h * w * 1.0).view(1, h, w, 1, 1)
    keys, reach = flatten_keys(grid, kernel_size), kernel_size // 2
    for place, start in enumerate(shift_starts(kernel_size, w)):
        view = unflatten_queries(keys[:, :, start : start + h * (w + reach)], h, w, 1)
        for i in range(h):
            for j in range(w):
                row, column = i + place // kernel_size - reach, j + place % kernel_size - reach
                inside = 0 <= row < h and 0 <= column < w
                assert view[0, i, j, 0, 0] == (grid[0, row, column, 0, 0] if inside else 0)


@pytest.mark.parametrize("form", ["kernel", "views"])
def test_the_written_out_gradients_are_the_numerical_ones(form):
    starts = (0, 2, 3)
    q, keys, weights = (torch.randn(2, *shape, dtype=torch.float64) for shape in ((4, 5), (4, 8), (3, 5)))
    kernel = torch.randn(3, 4, 3, dtype=torch.float64) if form == "kernel" else None
    wanted = [x.requires_grad_() for x in (q, keys, weights, kernel) if x is not None]
    kernel = wanted[3] if form == "kernel" else None
    assert torch.autograd.gradcheck(lambda a, b, *_: shifted_scores(a, b, starts, kernel), wanted)
    assert torch.autograd.gradcheck(lambda _, b, c, *__: shifted_mixture(c, b, starts, kernel), wanted)

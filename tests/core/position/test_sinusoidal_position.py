import math

import pytest
import torch

from tests.core.checks import random_grid
from vitcore import SinusoidalPosition, sinusoidal_table


def entry(position: int, channel: int, width: int) -> float:
    angle = position / 10000 ** (2 * (channel // 2) / width)
    return math.cos(angle) if channel % 2 else math.sin(angle)


@pytest.mark.parametrize("width", [16, 7, 1])
def test_the_table_has_the_published_entries_rounded_to_float32(width):
    positions = [0, 1, 2, 196, 3135]
    table = sinusoidal_table(torch.tensor(positions), width)
    wanted = torch.tensor([[entry(p, c, width) for c in range(width)] for p in positions], dtype=torch.float64)
    assert table.dtype == torch.float32
    assert torch.equal(table, wanted.float())


def test_raster_numbers_the_prefix_first_and_then_the_places_in_raster_order():
    op = SinusoidalPosition(8)
    places, prefix = op.forward_prefixed(random_grid(3, 4, 8), random_grid(1, 2, 8).squeeze(1))
    table = sinusoidal_table(torch.arange(14), 8).double()
    assert torch.equal(prefix, table[:2].expand(2, 2, 8))
    assert torch.equal(places, table[2:].view(3, 4, 8).expand(2, 3, 4, 8))
    assert torch.equal(op(random_grid(3, 4, 8)), table[:12].view(3, 4, 8).expand(2, 3, 4, 8))


def test_rows_and_columns_have_half_of_the_channels_each():
    y = SinusoidalPosition(8, form="rows_and_columns")(random_grid(5, 3, 8))
    for i in range(5):
        for j in range(3):
            wanted = [entry(i, c, 4) for c in range(4)] + [entry(j, c, 4) for c in range(4)]
            torch.testing.assert_close(y[1, i, j], torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-7)


def test_rows_and_columns_keep_a_place_s_vector_when_the_map_grows():
    op = SinusoidalPosition(8, form="rows_and_columns")
    assert torch.equal(op(random_grid(3, 4, 8)), op(random_grid(6, 9, 8))[:, :3, :4])
    assert op.forward_prefixed(random_grid(3, 4, 8), random_grid(1, 1, 8).squeeze(1))[1] is None


@pytest.mark.parametrize("form", ["raster", "rows_and_columns"])
def test_no_two_places_have_the_same_vector_and_no_state_is_kept(form):
    op = SinusoidalPosition(16, form=form)
    vectors = op(random_grid(14, 14, 16))[0].flatten(0, 1)
    assert len(vectors.unique(dim=0)) == 196
    assert op.state_dict() == {}


def test_the_positions_have_the_dtype_of_the_grid_and_are_not_copied_for_each_image():
    y = SinusoidalPosition(8)(torch.zeros(5, 3, 3, 8, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    assert y.stride(0) == 0


def test_an_odd_width_cannot_be_halved():
    with pytest.raises(ValueError, match=r"SinusoidalPosition: rows_and_columns needs an even width, got width=7\."):
        SinusoidalPosition(7, form="rows_and_columns")

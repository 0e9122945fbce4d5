import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitcore import window_merge, window_partition
from vitcore.attention.windows.geometry import count_windows, fit_window, region_map


def test_a_window_is_bounded_by_the_map():
    assert fit_window(56, 40, 7) == (7, 7)
    assert fit_window(5, 40, 7) == (5, 7)
    assert fit_window(3, 2, 7) == (3, 2)


def test_windows_are_counted_with_those_that_stick_out():
    assert count_windows(14, 15, (7, 7)) == (2, 3)


def test_regions_keep_padding_and_the_two_ends_of_the_map_apart():
    cpu = torch.device("cpu")
    assert region_map(6, 6, (3, 3), 0, cpu) is None
    assert (region_map(4, 3, (3, 3), 0, cpu)[0, :, :, 0] != 0).tolist() == [[False] * 3] * 4 + [[True] * 3] * 2
    shifted = region_map(3, 3, (3, 3), 1, cpu)[0, :, :, 0]
    assert len({int(shifted[0, 0]), int(shifted[0, 1]), int(shifted[1, 0]), int(shifted[1, 1])}) == 4
    assert (shifted[1:, 1:] == 0).all()


sides = st.integers(1, 9)


@settings(deadline=None, max_examples=60)
@given(h=sides, w=sides, rows=st.integers(1, 5), columns=st.integers(1, 5), shift=st.integers(0, 4))
def test_merging_undoes_partitioning(h, w, rows, columns, shift):
    grid = torch.arange(2.0 * h * w * 3).view(2, h, w, 3)
    windows = window_partition(grid, (rows, columns), shift)
    assert windows.shape == (2 * -(-h // rows) * -(-w // columns), rows * columns, 3)
    assert torch.equal(window_merge(windows, (h, w), (rows, columns), shift), grid)


def test_windows_and_their_tokens_come_in_raster_order():
    grid = torch.arange(24).view(1, 4, 6, 1)
    windows = window_partition(grid, (2, 3)).squeeze(2)
    assert windows.tolist() == [
        [0, 1, 2, 6, 7, 8],
        [3, 4, 5, 9, 10, 11],
        [12, 13, 14, 18, 19, 20],
        [15, 16, 17, 21, 22, 23],
    ]


def test_partitioning_a_map_that_is_one_window_copies_nothing():
    grid = torch.zeros(2, 4, 4, 8)
    assert window_partition(grid, (4, 4)).data_ptr() == grid.data_ptr()

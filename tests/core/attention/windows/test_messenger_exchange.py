import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.checks import random_grid
from vitcore import MessengerExchange, exchange_messengers


def exchange_by_loops(messengers: torch.Tensor, rows: int, columns: int, shuffle: int) -> torch.Tensor:
    """Window i's group j and window j's group i change places, for every two windows of a region that exist."""
    b, _, width = messengers.shape
    c = width // shuffle**2
    old = messengers.reshape(b, rows, columns, width)
    new = old.clone()
    members = [(i, j) for i in range(shuffle) for j in range(shuffle)]
    for top in range(0, rows, shuffle):
        for left in range(0, columns, shuffle):
            for i, (yi, xi) in enumerate(members):
                for j, (yj, xj) in enumerate(members):
                    if max(yi, yj) + top < rows and max(xi, xj) + left < columns:
                        received = old[:, top + yj, left + xj, i * c : (i + 1) * c]
                        new[:, top + yi, left + xi, j * c : (j + 1) * c] = received
    return new.view(messengers.shape)


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (2, 6), (3, 5), (1, 3), (1, 1)])
@pytest.mark.parametrize("shuffle", [1, 2, 3])
def test_the_exchange_equals_a_loop_over_pairs_of_windows(rows, columns, shuffle):
    messengers = random_grid(1, rows * columns, 36).flatten(1, 2)
    ours = exchange_messengers(messengers, rows, columns, shuffle)
    assert torch.equal(ours, exchange_by_loops(messengers, rows, columns, shuffle))


numbers = st.integers(1, 6)


@settings(deadline=None, max_examples=60)
@given(rows=numbers, columns=numbers, shuffle=st.integers(1, 4))
def test_exchanging_twice_changes_nothing(rows, columns, shuffle):
    width = 2 * shuffle**2
    messengers = torch.arange(2.0 * rows * columns * width).view(2, rows * columns, width)
    once = exchange_messengers(messengers, rows, columns, shuffle)
    assert torch.equal(once.flatten(1).sort(dim=1).values, messengers.flatten(1))
    assert torch.equal(exchange_messengers(once, rows, columns, shuffle), messengers)


def test_each_window_of_a_whole_region_receives_channels_from_every_other():
    width = 9
    owners = torch.arange(9).view(1, 9, 1).expand(1, 9, width)
    assert torch.equal(exchange_messengers(owners, 3, 3, 3), torch.arange(9).expand(1, 9, 9))


def test_a_region_of_one_window_keeps_its_messenger():
    messengers = random_grid(1, 12, 16).flatten(1, 2)
    assert torch.equal(exchange_messengers(messengers, 3, 4, 1), messengers)


def test_added_to_the_stream_the_op_leaves_exchanged_messengers_and_the_map():
    op = MessengerExchange(16, window=3, shuffle=2)
    grid, prefix = random_grid(9, 11, 16), random_grid(1, 12, 16, seed=2).squeeze(1)
    new_grid, change = op.forward_prefixed(grid, prefix)
    assert torch.equal(grid + new_grid, grid)
    torch.testing.assert_close(prefix + change, exchange_by_loops(prefix, 3, 4, 2))


def test_the_maps_change_of_zeros_takes_the_memory_of_one_number():
    change = MessengerExchange(8, window=2, shuffle=2)(random_grid(4, 4, 8))
    assert change.shape == (2, 4, 4, 8)
    assert not change.any()
    assert change.untyped_storage().nbytes() == change.element_size()


def test_a_map_smaller_than_the_window_has_one_messenger():
    op = MessengerExchange(16, window=7, shuffle=4)
    _, change = op.forward_prefixed(random_grid(5, 4, 16), random_grid(1, 1, 16).squeeze(1))
    assert not change.any()


def test_bad_arguments_are_refused_with_both_values():
    message = r"MessengerExchange: shuffle must be positive and its square divide width, got width=96, shuffle=5\."
    with pytest.raises(ValueError, match=message):
        MessengerExchange(96, shuffle=5)
    with pytest.raises(ValueError, match=r"got width=96, shuffle=0\."):
        MessengerExchange(96, shuffle=0)
    with pytest.raises(ValueError, match=r"MessengerExchange: window must be at least 1, got window=0\."):
        MessengerExchange(96, window=0)
    message = r"MessengerExchange: a map of 9 x 11 tokens needs 3 x 4 prefix tokens, one for each window, got 3\."
    with pytest.raises(ValueError, match=message):
        MessengerExchange(16, window=3).forward_prefixed(random_grid(9, 11, 16), random_grid(1, 3, 16).squeeze(1))

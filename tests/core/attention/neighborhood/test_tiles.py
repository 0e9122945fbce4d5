import torch
from hypothesis import given
from hypothesis import strategies as st

from vitcore.attention.neighborhood.tiles import TILE, tile_axis, tile_homes, tile_places, tile_sizes

sides, kernels, dilations = st.integers(1, 30), st.sampled_from([1, 3, 5, 7]), st.integers(1, 5)
cpu = torch.device("cpu")


@given(h=sides, w=sides, kernel_size=kernels, dilation=dilations)
def test_every_token_is_a_query_and_is_found_again(h, w, kernel_size, dilation):
    rows, columns = tile_axis(h, kernel_size, dilation, cpu), tile_axis(w, kernel_size, dilation, cpu)
    places = tile_places(rows.queries, columns.queries, w)
    tile, query = tile_homes(rows, columns)
    per_tile = rows.queries.shape[1] * columns.queries.shape[1]
    assert torch.equal(places.view(-1, per_tile)[tile, query], torch.arange(h * w))


@given(size=sides, kernel_size=kernels, dilation=dilations)
def test_a_querys_window_is_the_nearest_places_of_its_residue_class(size, kernel_size, dilation):
    axis = tile_axis(size, kernel_size, dilation, cpu)
    for queries, keys, seen, step in zip(axis.queries, axis.keys, axis.seen, axis.step, strict=True):
        for query, shown, steps in zip(queries.tolist(), seen, step, strict=True):
            window = keys[shown].tolist()
            residue_class = range(query % dilation, size, dilation)
            number = min(kernel_size, len(residue_class))
            first = min(max(query // dilation - kernel_size // 2, 0), len(residue_class) - number)
            assert window == list(residue_class[first : first + number])
            assert [query + dilation * s for s in steps[shown].tolist()] == window


@given(size=sides, kernel_size=kernels, dilation=dilations)
def test_the_stated_sizes_are_those_of_the_tiles(size, kernel_size, dilation):
    axis, (tiles, queries, keys) = tile_axis(size, kernel_size, dilation, cpu), tile_sizes(size, kernel_size, dilation)
    assert axis.seen.shape == (min(size, dilation) * tiles, queries, keys)
    assert queries <= TILE

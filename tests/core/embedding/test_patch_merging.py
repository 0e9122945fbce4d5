import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import layer_norm, linear
from tests.golden_records import OpRecord
from vitcore import PatchMerging, depth_to_space, space_to_depth


def test_it_computes_what_swin_computes():
    record = OpRecord("swin_patch_merging")
    op = record.load(PatchMerging(32, 64), lambda name: name.replace("reduction.", "projection."))
    record.assert_matches(lambda x: op(x.unflatten(1, (14, 14))).flatten(1, 2))


@pytest.mark.parametrize(("h", "w"), [(4, 6), (5, 3), (1, 4), (1, 1)])
def test_it_equals_a_loop_over_squares_with_zeros_beyond_the_border(h, w):
    op = randomise(PatchMerging(3, 5))

    def twin(grid):
        tokens = []
        for i in range(0, h, 2):
            for j in range(0, w, 2):
                places = [(i, j), (i + 1, j), (i, j + 1), (i + 1, j + 1)]
                square = [grid[:, y, x] if y < h and x < w else torch.zeros_like(grid[:, 0, 0]) for y, x in places]
                tokens.append(linear(op.projection, layer_norm(op.norm, torch.cat(square, -1))))
        return torch.stack(tokens, 1).view(-1, (h + 1) // 2, (w + 1) // 2, 5)

    assert_same_function(op, twin, random_grid(h, w, 3))


@settings(max_examples=30, deadline=None)
@given(h=st.integers(1, 7), w=st.integers(1, 7))
def test_depth_to_space_undoes_space_to_depth(h, w):
    grid = random_grid(h, w, 3)
    squares = space_to_depth(grid)
    assert squares.shape == (2, (h + 1) // 2, (w + 1) // 2, 12)
    assert torch.equal(depth_to_space(squares, h, w), grid)


def test_a_token_sees_its_square():
    op = randomise(PatchMerging(3, 6))
    assert seen_tokens(op, 5, 5, 3, query=(1, 2)) == {(2, 4), (3, 4)}

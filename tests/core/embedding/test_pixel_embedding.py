import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.checks import assert_same_function, random_grid, randomise
from tests.core.textbook import convolution_by_loops
from vitcore import PixelEmbedding, join_patches, split_into_patches


@pytest.mark.parametrize(("height", "width"), [(8, 16), (9, 13), (5, 5)])
def test_it_equals_a_convolution_whose_tokens_are_grouped_by_patch(height, width):
    op = randomise(PixelEmbedding(3, 4, patch_size=8))

    def twin(image):
        tokens = convolution_by_loops(
            image.permute(0, 2, 3, 1), op.projection.weight, op.projection.bias, stride=4, padding=3
        )
        h, w = tokens.shape[1] // 2, tokens.shape[2] // 2
        patches = []
        for i in range(h):
            for j in range(w):
                places = [(0, 0), (0, 1), (1, 0), (1, 1)]
                pixels = [tokens[:, 2 * i + y, 2 * j + x] + op.position[n] for n, (y, x) in enumerate(places)]
                patches.append(torch.stack(pixels, 1))
        return torch.stack(patches, 1).view(-1, h, w, 4, 4)

    assert_same_function(op, twin, random_grid(height, width, 3).detach().permute(0, 3, 1, 2).requires_grad_())


@settings(max_examples=30, deadline=None)
@given(h=st.integers(1, 4), w=st.integers(1, 4), side=st.integers(1, 4))
def test_joining_undoes_splitting_into_patches(h, w, side):
    grid = random_grid(h * side, w * side, 2)
    pixels = split_into_patches(grid, side)
    assert pixels.shape == (2, h, w, side**2, 2)
    assert torch.equal(join_patches(pixels), grid)


def test_rows_and_columns_left_over_are_dropped():
    grid = random_grid(9, 11, 2)
    assert torch.equal(split_into_patches(grid, 4), split_into_patches(grid[:, :8, :8], 4))


def test_bad_sizes_are_refused_with_their_values():
    with pytest.raises(
        ValueError, match=r"PixelEmbedding: stride must divide patch_size, got patch_size=16, stride=5\."
    ):
        PixelEmbedding(3, 4, stride=5)
    with pytest.raises(
        ValueError,
        match=r"PixelEmbedding: the image must hold at least one patch, got image=\(12, 40\), patch_size=16\.",
    ):
        PixelEmbedding(3, 4)(torch.zeros(1, 3, 12, 40))

import pytest
import torch

from tests.core.checks import assert_same_function, random_grid, seen_tokens
from vitcore import SoftSplit, overlapping_patches


@pytest.mark.parametrize(
    ("h", "w", "kernel_size", "stride", "padding"),
    [(9, 12, 7, 4, 2), (5, 4, 3, 2, 1), (1, 1, 3, 2, 1), (6, 4, 2, 2, 0), (7, 5, 2, 2, 0)],
)
def test_a_token_holds_its_patch_channel_by_channel_row_by_row(h, w, kernel_size, stride, padding):
    def twin(grid):
        c = grid.shape[-1]
        rows, columns = ((n + 2 * padding - kernel_size) // stride + 1 for n in (h, w))
        tokens = []
        for i in range(rows):
            for j in range(columns):
                entries = []
                for channel in range(c):
                    for di in range(kernel_size):
                        for dj in range(kernel_size):
                            y, x = i * stride + di - padding, j * stride + dj - padding
                            inside = 0 <= y < h and 0 <= x < w
                            entries.append(grid[:, y, x, channel] if inside else torch.zeros_like(grid[:, 0, 0, 0]))
                tokens.append(torch.stack(entries, -1))
        return torch.stack(tokens, 1).view(-1, rows, columns, c * kernel_size**2)

    assert_same_function(SoftSplit(2, kernel_size, stride, padding), twin, random_grid(h, w, 2))


@pytest.mark.parametrize(("kernel_size", "stride", "padding"), [(7, 4, 2), (3, 2, 1)])
def test_the_channels_are_ordered_as_by_torch_s_unfold(kernel_size, stride, padding):
    grid = random_grid(14, 11, 3)
    y = SoftSplit(3, kernel_size, stride, padding)(grid)
    unfolded = torch.nn.functional.unfold(grid.permute(0, 3, 1, 2), kernel_size, padding=padding, stride=stride)
    assert torch.equal(y.flatten(1, 2), unfolded.transpose(1, 2))


def test_disjoint_patches_use_each_token_once():
    grid = random_grid(6, 9, 2)
    y = overlapping_patches(grid, kernel_size=3, stride=3, padding=0)
    assert torch.equal(y.flatten().sort().values, grid.flatten().sort().values)


def test_a_token_sees_its_patch():
    assert seen_tokens(SoftSplit(2), 7, 7, 2, query=(0, 2)) == {(i, j) for i in (0, 1) for j in (3, 4, 5)}


def test_the_three_splits_of_t2t_lead_from_224_pixels_to_14_tokens():
    grid = torch.zeros(1, 224, 224, 1)
    for (kernel_size, stride, padding), side in zip([(7, 4, 2), (3, 2, 1), (3, 2, 1)], [56, 28, 14], strict=True):
        grid = SoftSplit(1, kernel_size, stride, padding)(grid)[..., :1]
        assert grid.shape[1:3] == (side, side)


def test_a_map_smaller_than_a_patch_is_refused_with_its_size():
    with pytest.raises(
        ValueError,
        match=r"SoftSplit: the map must hold at least one patch, got map=\(2, 9\), kernel_size=7, padding=2\.",
    ):
        SoftSplit(3, 7, 4, 2)(torch.zeros(1, 2, 9, 3))

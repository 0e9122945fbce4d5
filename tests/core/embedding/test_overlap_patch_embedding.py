import pytest
import torch
from torch import nn

from tests.core.checks import assert_same_function, random_grid, randomise, seen_tokens
from tests.core.textbook import convolution_by_loops, layer_norm
from tests.golden_records import OpRecord
from vitcore import OverlapPatchEmbedding, OverlapPatchMerging, PatchEmbedding


def test_the_embedding_computes_what_pvt_v2_computes():
    record = OpRecord("pvt_v2_overlap_patch_embed")
    op = record.load(OverlapPatchEmbedding(3, 32), lambda name: name.replace("proj.", "projection."))
    record.assert_matches(lambda x: op(x).flatten(1, 2))


def test_the_merging_computes_what_cswin_computes():
    record = OpRecord("cswin_merge_block")
    op = record.load(OverlapPatchMerging(32, 64), lambda name: name.replace("conv.", "projection."))
    record.assert_matches(lambda x: op(x.unflatten(1, (14, 14))).flatten(1, 2))


@pytest.mark.parametrize(
    ("h", "w", "kernel_size", "stride", "padding"),
    [(9, 10, 7, 4, None), (8, 9, 7, 4, 2), (5, 4, 3, 2, None), (5, 4, 2, 2, 0), (1, 1, 3, 2, None)],
)
def test_they_equal_the_convolution_and_the_norm_token_by_token(h, w, kernel_size, stride, padding):
    merging = randomise(OverlapPatchMerging(3, 6, kernel_size, stride, padding))

    def twin(grid):
        around = kernel_size // 2 if padding is None else padding
        conv = merging.projection
        return layer_norm(merging.norm, convolution_by_loops(grid, conv.weight, conv.bias, stride, around))

    assert_same_function(merging, twin, random_grid(h, w, 3))
    embedding = randomise(OverlapPatchEmbedding(3, 6, kernel_size, stride, padding))
    embedding.load_state_dict(merging.state_dict())
    grid = random_grid(h, w, 3)
    torch.testing.assert_close(embedding(grid.permute(0, 3, 1, 2)), twin(grid))


def test_a_token_sees_the_tokens_under_its_kernel():
    op = randomise(OverlapPatchMerging(3, 6))
    assert seen_tokens(op, 7, 7, 3, query=(0, 1)) == {(i, j) for i in (0, 1) for j in (1, 2, 3)}


def test_without_overlap_and_norm_it_is_the_patch_embedding():
    op = randomise(OverlapPatchEmbedding(3, 8, kernel_size=4, stride=4, padding=0, norm=nn.Identity))
    plain = PatchEmbedding(3, 8, patch_size=4).double()
    plain.load_state_dict(op.state_dict())
    image = random_grid(9, 13, 3).permute(0, 3, 1, 2)
    torch.testing.assert_close(op(image), plain(image))


@pytest.mark.parametrize(("kernel_size", "padding"), [(3, 1), (2, 0)])
def test_a_map_smaller_than_the_weights_is_merged_as_in_a_large_batch(kernel_size, padding):
    merging, grids = randomise(OverlapPatchMerging(16, 24, kernel_size, padding=padding)), random_grid(6, 7, 16, b=32)
    assert grids[:1].numel() < merging.projection.weight.numel() < grids.numel()
    alone, together = merging(grids[:1]), merging(grids)
    torch.testing.assert_close(alone, together[:1])
    assert alone.is_contiguous()
    assert together.is_contiguous()


@pytest.mark.parametrize("width", [8, 96])
def test_an_image_is_mapped_to_tokens_whose_channels_lie_last(width):
    embedding = randomise(OverlapPatchEmbedding(3, width))
    assert embedding(random_grid(3, 32, 32)).is_contiguous()


def test_a_map_smaller_than_a_patch_is_refused_with_its_size():
    with pytest.raises(
        ValueError,
        match=r"OverlapPatchEmbedding: the map must hold at least one patch, "
        r"got map=\(2, 9\), kernel_size=7, padding=2\.",
    ):
        OverlapPatchEmbedding(3, 8, padding=2)(torch.zeros(1, 3, 2, 9))
    with pytest.raises(ValueError, match=r"OverlapPatchMerging: .* got map=\(5, 1\), kernel_size=2, padding=0\."):
        OverlapPatchMerging(8, 16, kernel_size=2, padding=0)(torch.zeros(1, 5, 1, 8))

"""The isotropic skeleton: positions, thirds, what the head reads, and the compilers."""

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import interpolate

import vitcore
from vitmodels import column, part
from vitmodels.skeletons.column import third

SMALL = {"img_size": 64, "depth": 3, "num_classes": 10}


def mlp_column(**arguments):
    """A column of MLPs alone: tokens do not mix, which makes every token's own path visible."""
    mlp = {"feed_forward": {"op": "vitcore.Mlp", "norm": "torch.nn.LayerNorm"}}
    return column(**({"width": 16, "img_size": 64, "stage1": mlp, "stage2": mlp, "stage3": mlp} | arguments)).eval()


@given(st.integers(0, 60))
def test_the_stages_share_the_layers_evenly_and_in_order(depth):
    stages = [third(index, depth) for index in range(depth)]
    sizes = [stages.count(stage) for stage in range(3)]
    assert stages == sorted(stages)
    assert sum(sizes) == depth
    assert sizes == sorted(sizes, reverse=True), "the first thirds take what is left over"
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("depth", "sizes"), [(1, (1, 0, 0)), (4, (2, 1, 1)), (7, (3, 2, 2)), (8, (3, 3, 2)), (12, (4,) * 3)]
)
def test_the_stages_are_the_low_mid_and_high_layers(depth, sizes):
    ops = ("vitcore.Mlp", "vitcore.LocalityFeedForward", "vitcore.SqueezeExcite")
    stages = {f"stage{i + 1}": {"feed_forward": {"op": op}} for i, op in enumerate(ops)}
    model = column(width=16, img_size=64, depth=depth, prefix_tokens=0, global_pool="avg", **stages)
    found = [type(block.feed_forward.op).__name__ for block in model.blocks]
    expected = [op.split(".")[1] for op, size in zip(ops, sizes, strict=True) for _ in range(size)]
    assert found == expected
    assert model.eval()(torch.randn(2, 3, 64, 64)).isfinite().all()


def test_stochastic_depth_rises_linearly_from_the_first_block_to_the_last():
    model = timm.create_model("localvit_tiny", drop_path_rate=0.22, device="meta")
    rates = [block.mixer.drop_path_rate for block in model.blocks]
    assert rates == pytest.approx([0.02 * index for index in range(12)])
    assert {block.feed_forward.drop_path_rate for block in model.blocks} == {0.0}
    deit = timm.create_model("deit_tiny", drop_path_rate=0.22, device="meta")
    assert [block.feed_forward.drop_path_rate for block in deit.blocks] == rates
    with pytest.raises(ValueError, match=r"got drop_path_rate=1\.0, drop_path_scale=1\.0"):
        timm.create_model("deit_tiny", drop_path_rate=1.0)


def test_the_position_table_is_exact_at_its_own_size():
    model = mlp_column(img_size=(64, 96))
    image = torch.randn(2, 3, 64, 96)
    grid, prefix = model.embed(image)
    table = model.position.table
    assert grid.equal(model.stem(image) + table[:, 1:].view(1, 4, 6, 16))
    assert prefix.equal((model.prefix + table[:, :1]).expand(2, -1, -1))


@pytest.mark.parametrize("size", [(128, 64), (96, 96), (32, 160)])
def test_the_position_table_is_interpolated_at_other_sizes(size):
    model = mlp_column()
    image = torch.randn(2, 3, *size)
    h, w = size[0] // 16, size[1] // 16
    grid, prefix = model.embed(image)
    native = model.position.table[:, 1:].view(1, 4, 4, 16).permute(0, 3, 1, 2)
    resized = interpolate(native, size=(h, w), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    torch.testing.assert_close(grid, model.stem(image) + resized)
    assert prefix.equal((model.prefix + model.position.table[:, :1]).expand(2, -1, -1)), "the class token keeps its own"
    assert model(image).shape == (2, 1000)


def test_a_column_without_a_class_token_pools_the_grid():
    model = mlp_column(prefix_tokens=0, global_pool="avg", num_classes=5)
    image = torch.randn(2, 3, 64, 64)
    assert (model.num_prefix_tokens, model.no_weight_decay()) == (0, {"position.table"})
    features = model.forward_features(image)
    assert features.shape == (2, 16, 16)
    assert model(image).equal(model.head(features.mean(dim=1)))
    _, [feature_map] = model.forward_intermediates(image, indices=1, return_prefix_tokens=True)
    assert feature_map.shape == (2, 16, 4, 4), "as timm does, a map is not paired where there are no prefix tokens"


def test_a_head_cannot_read_a_class_token_that_is_not_there():
    message = "Column: global_pool must be one of 'avg', '' here, got global_pool='token'."
    with pytest.raises(ValueError, match=message):
        mlp_column(prefix_tokens=0)
    model = mlp_column(prefix_tokens=0, global_pool="avg")
    with pytest.raises(ValueError, match=message):
        model.reset_classifier(3, "token")


def test_several_prefix_tokens_stay_out_of_the_average():
    model = mlp_column(prefix_tokens=3, global_pool="avg", num_classes=0)
    image = torch.randn(2, 3, 64, 64)
    before = model(image)
    nn.init.normal_(model.prefix)
    assert model(image).equal(before)
    assert model.forward_features(image).shape == (2, 3 + 16, 16)


def test_an_image_smaller_than_a_patch_is_refused():
    with pytest.raises(
        ValueError, match=r"column: img_size must hold at least one patch, got img_size=8, patch_size=16\."
    ):
        mlp_column(img_size=8)
    with pytest.raises(ValueError, match=r"PatchEmbedding: the image must hold at least one patch"):
        mlp_column()(torch.zeros(1, 3, 8, 64))


def test_a_head_width_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"GlobalAttention: head_dim must divide width, got width=192, head_dim=50\."):
        timm.create_model("deit_tiny", stage2={"mixer": {"op": {"init_args": {"head_dim": 50}}}})


def test_a_column_is_built_of_parts_of_ones_own():
    model = column(
        width=24,
        img_size=32,
        depth=2,
        stem=part("vitcore.PatchEmbedding", patch_size=4),
        position=vitcore.AbsolutePosition,
        stage1={"mixer": {"op": part("vitcore.GlobalAttention", head_dim=8), "norm": "torch.nn.LayerNorm"}},
        norm=nn.LayerNorm,
    )
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 1000)
    assert [len(list(block.children())) for block in model.blocks] == [1, 0]

"""A stage of a pyramid: where its positions and class token live, and what cannot be built."""

import pytest
import torch

from tests.models.small_pyramids import by_keys, by_timm
from vitcore import AbsolutePosition
from vitmodels import part
from vitmodels.skeletons.stage import Stage, StageSpec, build_stage, build_stages

MLP = {"op": "vitcore.Mlp", "norm": "torch.nn.LayerNorm"}
MERGING = part("vitcore.OverlapPatchMerging", kernel_size=2, stride=2, padding=0)
TABLE = part("vitcore.AbsolutePosition", interpolation="bilinear")


def stages(*data, img_size=16, drop_path_rate=0.0):
    return build_stages(data, Stage, 8, img_size, drop_path_rate)


def stage(width=16, depth=1, **more):
    return {"width": width, "depth": depth, "downsample": MERGING, "feed_forward": MLP} | more


def test_stochastic_depth_rises_linearly_over_the_blocks_of_all_stages():
    built = stages(stage(depth=1), stage(depth=3), stage(depth=2), drop_path_rate=0.5)
    rates = [block.feed_forward.drop_path_rate for one in built for block in one.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize("build", [by_timm, by_keys])
def test_stochastic_depth_rises_linearly_over_a_whole_model(build):
    blocks = [block for one in build("swin_tiny", drop_path_rate=0.7).stages for block in one.blocks]
    assert [block.feed_forward.drop_path_rate for block in blocks] == pytest.approx([0.1 * i for i in range(8)])


def test_a_branch_s_factor_scales_its_stochastic_depth_alone():
    content = {"op": "vitcore.ConditionalPosition", "drop_path_scale": 0.5}
    (built,) = stages(stage(depth=2, content_mixer=content), drop_path_rate=0.2)
    last = built.blocks[1]
    assert (last.content.drop_path_rate, last.feed_forward.drop_path_rate) == pytest.approx((0.1, 0.2))


def test_every_second_block_holds_the_alternate_part():
    (built,) = stages(stage(depth=5, alternate={"feed_forward": {"op": "vitcore.ConvolutionalFeedForward"}}))
    names = [type(block.feed_forward.op).__name__ for block in built.blocks]
    assert names == ["Mlp", "ConvolutionalFeedForward", "Mlp", "ConvolutionalFeedForward", "Mlp"]


def test_a_slot_that_the_alternate_leaves_out_is_the_stage_s_own():
    spec, other = build_stage(
        stage(alternate={"mixer": {"op": "vitcore.GlobalAttention"}}, mixer={"op": "vitcore.SlideAttention"})
    )
    assert other.feed_forward is spec.feed_forward
    assert (spec.mixer.op.__name__, other.mixer.op.__name__) == ("SlideAttention", "GlobalAttention")


def test_a_stage_is_written_as_a_mapping_or_as_a_specification():
    (one,), (other,) = stages(stage(depth=2)), stages(StageSpec(**stage(depth=2)))
    assert one.state_dict().keys() == other.state_dict().keys()


def test_the_class_token_ends_with_its_stage():
    first, second = stages(stage(prefix_tokens=1), stage())
    grid, prefix = first.double()(torch.randn(2, 16, 16, 8, dtype=torch.float64))
    assert prefix.shape == (2, 1, 16)
    with torch.no_grad():
        first.prefix.add_(1)
    coarse, none = second.double()(grid, prefix)
    assert none is None
    assert torch.equal(coarse, second(grid, prefix + 1)[0])


def test_the_class_token_is_the_same_for_every_image_before_the_blocks():
    (built,) = stages(stage(prefix_tokens=2, absolute_position=TABLE))
    _, prefix = built.embed(torch.randn(3, 8, 8, 16))
    assert prefix.shape == (3, 2, 16)
    assert (prefix == prefix[:1]).all()
    assert torch.equal(prefix[0], built.prefix[0] + built.position.table[0, :2])


def test_a_table_of_positions_is_made_for_the_stage_s_own_map():
    first, second = stages(stage(absolute_position=TABLE), stage(width=24, absolute_position=TABLE), img_size=(16, 24))
    assert (first.size, second.size) == ((8, 12), (4, 6))
    assert isinstance(first.position, AbsolutePosition)
    assert (first.position.table.numel(), second.position.table.numel()) == (8 * 12 * 16, 4 * 6 * 24)
    (without,) = stages(stage())
    assert without.position is None


def test_the_norm_of_a_stage_is_applied_to_grid_and_class_token_alike():
    (built,) = stages(stage(prefix_tokens=1, norm=part("torch.nn.LayerNorm", eps=1e-6)))
    for tokens in built(torch.randn(2, 16, 16, 8)):
        assert tokens.mean(-1).abs().max() < 1e-6


def test_multiply_adds_are_those_of_embedding_and_blocks():
    (built,) = stages(stage(depth=3, prefix_tokens=1))
    assert built.macs(8, 8) == 64 * 4 * 8 * 16 + 3 * (64 + 1) * 2 * 16 * 64


@pytest.mark.parametrize("build", [by_timm, by_keys])
def test_an_image_that_leaves_a_stage_without_a_token_is_refused(build):
    with pytest.raises(
        ValueError, match=r"img_size must leave each stage at least one token, got img_size=16, stage4\."
    ):
        build("pvt_tiny", img_size=16)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (stage(depht=2), "StageSpec has no entry 'depht'"),
        (stage(alternate={"mixr": MLP}), "Alternate has no entry 'mixr'"),
        (stage(feed_forward={"opp": "vitcore.Mlp"}), "Branch has no entry 'opp'"),
        (stage(norm="torch.nn.LayerNrom"), "class_path='torch.nn.LayerNrom' cannot be imported"),
    ],
)
def test_a_misspelt_entry_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        build_stage(data)

"""Stages whose second blocks hold another part: what a change of the stage changes in them, and what it does not."""

import pytest
import torch

from tests.models.small_pyramids import by_keys, by_timm
from vitmodels import part
from vitmodels.skeletons.alternate import changes_of_alternate

both_ways = pytest.mark.parametrize("build", [by_timm, by_keys])
SLIDE = part("vitcore.SlideAttention", head_dim=8)
DEFORMABLE = {"stage3__width": 96, "stage4__width": 192}  # 3 and 6 heads of 32 channels, as many as groups
WINDOW = {"mixer": {"op": part("vitcore.WindowAttention", window=4)}}


def ops(model, slot, stage=0):
    """Return the names of the ops in a slot, one a block; None where there is none."""
    branches = [getattr(block, slot, None) for block in model.stages[stage].blocks]
    return [branch and type(branch.op).__name__ for branch in branches]


@both_ways
def test_a_swapped_part_is_swapped_in_both_kinds_of_block(build):
    model = build("swin_tiny", stage1__mixer__op=SLIDE)
    assert ops(model, "mixer") == ["SlideAttention", "SlideAttention"]
    assert ops(model, "mixer", stage=1) == ["WindowAttention", "WindowAttention"]


@both_ways
def test_a_part_that_is_named_by_its_import_path_alone_is_swapped_in_both_kinds_of_block(build):
    assert ops(build("swin_tiny", stage2__mixer__op="vitcore.SlideAttention"), "mixer", 1) == ["SlideAttention"] * 2


@both_ways
def test_an_argument_reaches_both_kinds_of_block_where_they_hold_the_same_class(build):
    blocks = build("swin_tiny", stage1__mixer__op__window=2, stage1__alternate__mixer__op__shift=1).stages[0].blocks
    assert [(block.mixer.op.window, block.mixer.op.shift) for block in blocks] == [(2, 0), (2, 1)]


@both_ways
def test_an_argument_stays_in_the_first_kind_of_block_where_the_second_holds_another_class(build):
    model = build("dat_tiny", **DEFORMABLE, stage4__mixer__op__window=2)
    assert ops(model, "mixer", stage=3) == ["WindowAttention", "DeformableAttention"]
    assert [block.mixer.op.head_dim for block in model.stages[3].blocks] == [8, 32]


@both_ways
def test_a_class_swap_reaches_the_second_kind_of_block_whatever_it_holds(build):
    model = build("dat_tiny", **DEFORMABLE, stage4__mixer__op=SLIDE)
    assert ops(model, "mixer", stage=3) == ["SlideAttention"] * 2


@both_ways
def test_an_empty_slot_of_the_second_kind_of_block_stays_empty(build):
    cluster = part("vitcore.ClusterAttention", head_dim=8, cluster_size=16, overlap=0)
    others = {f"stage{i}__content_mixer__op__head_dim": 8 for i in (1, 3, 4)}
    model = build("boat_cswin_tiny", stage2__content_mixer__op=cluster, **others)
    assert ops(model, "content", stage=1) == ["ClusterAttention", None]
    assert model.stages[1].blocks[0].content.op.overlap == 0


@both_ways
def test_a_key_under_alternate_concerns_those_blocks_alone(build):
    model = build("swin_tiny", stage1__alternate__mixer__op=SLIDE)
    assert ops(model, "mixer") == ["WindowAttention", "SlideAttention"]
    shifts = build("swin_tiny", stage1__alternate__mixer__op__shift=1).stages[0].blocks
    assert [block.mixer.op.shift for block in shifts] == [0, 1]


@both_ways
def test_a_change_of_the_second_kind_of_block_wins_over_a_change_of_the_stage(build):
    other = part("vitcore.GlobalAttention", head_dim=16)
    model = build("swin_tiny", stage1__mixer__op=SLIDE, stage1__alternate__mixer__op=other)
    assert ops(model, "mixer") == ["SlideAttention", "GlobalAttention"]


@both_ways
def test_it_wins_also_where_it_is_written_first(build):
    other = part("vitcore.GlobalAttention", head_dim=16)
    model = build("swin_tiny", stage1__alternate__mixer__op=other, stage1__mixer__op=SLIDE)
    assert ops(model, "mixer") == ["SlideAttention", "GlobalAttention"]


@both_ways
def test_each_entry_of_a_slot_written_whole_reaches_the_second_blocks_on_its_own(build):
    norm = "torch.nn.Identity"
    changed = {"op": {"init_args": {"window": 2}}, "norm": norm}
    first, second = build("dat_tiny", **DEFORMABLE, stage4__mixer=changed).stages[3].blocks
    assert (type(first.mixer.norm), type(second.mixer.norm)) == (torch.nn.Identity,) * 2
    assert (first.mixer.op.window, type(second.mixer.op).__name__) == (2, "DeformableAttention")


@both_ways
def test_the_drop_path_scale_of_a_branch_is_that_of_both_kinds_of_block(build):
    blocks = build("swin_tiny", drop_path_rate=0.2, stage4__mixer__drop_path_scale=0.5).stages[3].blocks
    assert [block.mixer.drop_path_rate / block.feed_forward.drop_path_rate for block in blocks] == [0.5, 0.5]


def test_nothing_else_changes_in_a_stage_whose_blocks_are_alike():
    assert changes_of_alternate(WINDOW, "mixer", ["op"], SLIDE) == []
    assert changes_of_alternate(WINDOW | {"alternate": {"mixer": None}}, "mixer", ["op"], SLIDE) == []


def test_a_change_around_the_blocks_does_not_concern_the_second_ones():
    assert changes_of_alternate(WINDOW | {"alternate": WINDOW}, "width", [], 8) == []
    assert changes_of_alternate(WINDOW | {"alternate": WINDOW}, "downsample", [], "vitcore.PatchMerging") == []


def test_finding_what_else_changes_leaves_the_change_and_the_stage_as_they_were():
    stage, change = WINDOW | {"alternate": WINDOW}, {"op": {"init_args": {"window": 2}}}
    assert changes_of_alternate(stage, "mixer", [], change) == [(("op",), {"init_args": {"window": 2}})]
    assert (stage, change) == (WINDOW | {"alternate": WINDOW}, {"op": {"init_args": {"window": 2}}})

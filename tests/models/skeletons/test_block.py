"""Residual branches: their order, what is left out, what the prefix does, and stochastic depth."""

import pytest
import torch
from torch import nn

import vitcore
from vitmodels import BlockSpec, Branch
from vitmodels.skeletons.block import Block, keep_samples


class Plus(vitcore.FeatureOp):
    """Updates grid and prefix by a constant."""

    def __init__(self, width, constant=1.0):
        super().__init__()
        self.constant = constant

    def forward(self, grid):
        return torch.full_like(grid, self.constant)

    def forward_prefixed(self, grid, prefix):
        return self(grid), torch.full_like(prefix, self.constant)


class Double(vitcore.FeatureOp):
    """Updates by its input: grid + op(grid) is twice the grid."""

    def __init__(self, width):
        super().__init__()

    def forward(self, grid):
        return grid


def block(rate=0.0, **branches):
    return Block(BlockSpec(**branches), 4, rate)


def test_a_branch_adds_the_op_of_the_norm():
    grid = torch.randn(2, 3, 5, 4)
    out, prefix = block(mixer=Branch(op=Double, norm=nn.LayerNorm))(grid)
    torch.testing.assert_close(out, grid + nn.functional.layer_norm(grid, (4,)))
    assert prefix is None


def test_the_branches_apply_in_the_order_of_the_slots():
    plus, double = Branch(op=Plus), Branch(op=Double)
    grid = torch.full((1, 1, 1, 4), 3.0)
    assert block(mixer=plus, feed_forward=double)(grid)[0].unique().item() == 8.0
    assert block(feed_forward=plus, content_mixer=double)(grid)[0].unique().item() == 7.0
    assert block(position=plus, content_mixer=double, mixer=plus)(grid)[0].unique().item() == 10.0


def test_nothing_leaves_the_branch_and_its_norm_out():
    empty = block(mixer=Branch(op=vitcore.Nothing, norm=nn.LayerNorm))
    assert not list(empty.children())
    assert not list(empty.parameters())
    grid, prefix = torch.randn(2, 3, 3, 4), torch.randn(2, 1, 4)
    out = empty(grid, prefix)
    assert out[0] is grid
    assert out[1] is prefix
    assert [name for name, _ in block(mixer=Branch(op=Double)).named_children()] == ["mixer"]


def test_the_class_token_is_bit_identical_across_the_locality_feed_forward():
    torch.manual_seed(0)
    locality = block(rate=0.5, feed_forward=Branch(op=vitcore.LocalityFeedForward, norm=nn.LayerNorm)).train()
    grid, prefix = torch.randn(2, 3, 3, 4), torch.randn(2, 1, 4)
    out, token = locality(grid, prefix)
    assert token.equal(prefix)
    assert not out.equal(grid)


def test_an_op_without_a_rule_for_the_prefix_is_refused():
    with pytest.raises(TypeError, match="Double has no rule for prefix tokens, got 2"):
        block(mixer=Branch(op=Double))(torch.zeros(1, 2, 2, 4), torch.zeros(1, 2, 4))


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean():
    grid, prefix = torch.zeros(20000, 2, 3, 4), torch.zeros(20000, 2, 4)
    out, tokens = block(rate=0.25, mixer=Branch(op=Plus)).train()(grid, prefix)
    assert out.shape == grid.shape
    factors = out[:, 0, 0, 0]
    assert set(factors.tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert out.equal(factors[:, None, None, None].expand_as(out)), "one draw for all tokens of a sample"
    assert tokens.equal(factors[:, None, None].expand_as(tokens)), "and the same one for its prefix"
    deviation = (0.25 / 0.75 / 20000) ** 0.5
    assert factors.mean().item() == pytest.approx(1, abs=4 * deviation)


def test_two_branches_drop_different_samples():
    steps = Branch(op=lambda width: Plus(width, 1.0)), Branch(op=lambda width: Plus(width, 10.0))
    out, _ = block(rate=0.5, mixer=steps[0], content_mixer=steps[1]).train()(torch.zeros(200, 1, 1, 4))
    assert set(out.flatten().tolist()) == {0.0, 2.0, 20.0, 22.0}


def test_stochastic_depth_is_off_in_evaluation():
    grid = torch.zeros(50, 1, 1, 4)
    assert block(rate=0.9, mixer=Branch(op=Plus)).eval()(grid)[0].equal(grid + 1)


def test_the_branchs_factor_scales_its_rate():
    grid = torch.zeros(50, 1, 1, 4)
    assert block(rate=0.9, mixer=Branch(op=Plus, drop_path_scale=0.0)).train()(grid)[0].equal(grid + 1)
    half = block(rate=0.5, mixer=Branch(op=Plus, drop_path_scale=0.5)).train()(grid)[0]
    assert half.max().item() == pytest.approx(1 / 0.75)


@pytest.mark.parametrize(("rate", "scale"), [(1.0, 1.0), (0.5, 2.0), (-0.1, 1.0)])
def test_a_rate_that_leaves_nothing_is_refused(rate, scale):
    message = (
        rf"ResidualBranch: drop_path_rate times drop_path_scale must lie in \[0, 1\), "
        rf"got drop_path_rate={rate}, drop_path_scale={scale}\."
    )
    with pytest.raises(ValueError, match=message):
        block(rate=rate, mixer=Branch(op=Plus, drop_path_scale=scale))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_draw_has_the_grids_precision(dtype):
    kept = keep_samples(torch.zeros(8, 2, 2, 4, dtype=dtype), 0.5)
    assert (kept.shape, kept.dtype) == ((8, 1, 1), dtype)

"""A part of one system in another: it builds and learns, and costs what the two ops say."""

import pytest
import torch
from torch.nn.functional import cross_entropy

import vitcore
from tests.closed_forms import OPS
from tests.models.small_pyramids import SIDES, WIDTHS, by_keys, by_timm
from vitmodels import part

LOCALITY = {"ratio": 4.0, "kernel_size": 3}
NO_GATE = {"channel_attention": {"class_path": "torch.nn.Identity"}}
SLIDE = {"head_dim": 8, "kernel_size": 3, "shift": "both"}
CLUSTER = {"head_dim": 8, "cluster_size": 16, "overlap": 6}
PALE = {"head_dim": 8, "pale": 4}
SEPARABLE = {"projection": {"class_path": "vitcore.SeparableProjection"}}
REDUCTION = [("SpatialReductionAttention", {"head_dim": 8, "reduction": r}) for r in (8, 4, 2, 1)]
WINDOW = [("WindowAttention", {"head_dim": 8, "window": 4, "bias": "all"})] * 4
FOUR, TWO = (1, 2, 3, 4), (1, 2)

# Host, stages, slot, the new op with its arguments and those that the count by hand wants too, what each stage held.
SWAPS = {
    "slide in PVT": ("pvt_tiny", TWO, "mixer", "SlideAttention", SLIDE, {}, REDUCTION),
    "clusters in PVT": ("pvt_tiny", TWO, "mixer", "ClusterAttention", CLUSTER, {}, REDUCTION),
    "pales in Swin": ("swin_tiny", FOUR, "mixer", "PaleAttention", PALE, SEPARABLE, WINDOW),
    **{
        f"locality in {host}": (
            host,
            FOUR,
            "feed_forward",
            "LocalityFeedForward",
            LOCALITY,
            NO_GATE,
            [("Mlp", {"ratio": 4.0})] * 4,
        )
        for host in ("swin_tiny", "cswin_tiny", "pale_tiny", "boat_swin_tiny")
    },
}
every_swap = pytest.mark.parametrize("name", SWAPS)
both_ways = pytest.mark.parametrize("build", [by_timm, by_keys])


def swapped(name, build):
    """Return the model with the swap; where a norm is in front of the new op, it is the one that was there."""
    host, stages, slot, op, arguments, _, _ = SWAPS[name]
    changes = {f"stage{i}__{slot}__op": part(f"vitcore.{op}", **arguments) for i in stages}
    if slot == "feed_forward":
        changes |= {f"stage{i}__{slot}__norm": "torch.nn.Identity" for i in stages}
    return build(host, **changes)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def branches(model, name):
    """Return (stage from 0, branch) of every swapped branch."""
    _, stages, slot, *_ = SWAPS[name]
    return [(i - 1, getattr(block, slot)) for i in stages for block in model.stages[i - 1].blocks]


@both_ways
@every_swap
def test_the_part_is_swapped_in_every_block_of_its_stages_and_nowhere_else(name, build):
    _, stages, slot, op, *_ = SWAPS[name]
    model = swapped(name, build)
    found = {
        i + 1 for i, stage in enumerate(model.stages) for b in stage.blocks if type(getattr(b, slot).op).__name__ == op
    }
    assert found == set(stages)
    assert all(type(branch.op).__name__ == op for _, branch in branches(model, name))


@every_swap
def test_both_ways_of_swapping_build_the_same_model(name):
    one, other = swapped(name, by_timm).state_dict(), swapped(name, by_keys).state_dict()
    assert {key: value.shape for key, value in one.items()} == {key: value.shape for key, value in other.items()}


@every_swap
def test_parameters_change_by_the_closed_forms_of_the_two_ops(name):
    host, stages, slot, op, arguments, more, held = SWAPS[name]
    expected = 0
    for i in stages:
        (old, old_arguments), c = held[i - 1], WIDTHS[i - 1]
        norm = 2 * c if slot == "feed_forward" else 0
        expected += 2 * (OPS[op](c, arguments | more) - OPS[old](c, old_arguments) - norm)
    assert count(swapped(name, by_timm)) - count(by_timm(host)) == expected


@every_swap
def test_multiply_adds_change_by_those_of_the_two_ops(name):
    host, stages, _, op, arguments, _, held = SWAPS[name]
    model, before = swapped(name, by_timm), by_timm(host)
    expected = 0
    for i in stages:
        (old, old_arguments), c, side = held[i - 1], WIDTHS[i - 1], SIDES[i - 1]
        new_cost = getattr(vitcore, op)(c, **arguments).macs(side, side)
        # Every second window attention is shifted, and pays for the windows that the shift cuts.
        old_costs = [branch.op.macs(side, side) for stage, branch in branches(before, name) if stage == i - 1]
        if old != "WindowAttention":
            assert old_costs == [getattr(vitcore, old)(c, **old_arguments).macs(side, side)] * 2
        expected += 2 * new_cost - sum(old_costs)
    assert model.macs(32, 32) - before.macs(32, 32) == expected


@every_swap
def test_a_training_step_reaches_the_swapped_part(name):
    model = swapped(name, by_timm).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    image, label = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    before = cross_entropy(model(image), label)
    before.backward()
    for stage, branch in branches(model, name):
        weights = [weight for weight in branch.op.parameters() if weight.ndim > 1]
        assert weights
        # On a map of one token attention has nothing to choose: queries and keys have no say.
        assert any(weight.grad.any() for weight in weights)
        assert stage == 3 or all(weight.grad.any() for weight in weights)
    optimizer.step()
    assert cross_entropy(model(image), label) != before


def test_a_mixer_without_a_rule_for_the_class_token_is_refused_by_the_stage_that_has_one():
    model = by_timm("pvt_tiny", stage4__mixer__op=part("vitcore.ClusterAttention", **CLUSTER))
    with pytest.raises(TypeError, match="ClusterAttention has no rule for prefix tokens, got 1"):
        model(torch.randn(1, 3, 32, 32))

"""The hierarchical skeleton: sizes, what the head reads, what a class token sees, and odd images."""

import pytest
import torch
from torch.nn.functional import layer_norm

from tests.models.small_pyramids import WIDTHS, by_keys, by_timm

HOSTS = ("pvt_tiny", "swin_tiny", "cswin_tiny", "pale_tiny", "boat_swin_tiny", "slide_pvt_tiny")
every_host = pytest.mark.parametrize("name", HOSTS)


def image(*size, batch=2):
    return torch.randn(batch, 3, *size, dtype=torch.float64)


@every_host
def test_maps_halve_from_stage_to_stage_and_widen(name):
    model = by_timm(name).eval()
    maps = model.forward_intermediates(torch.randn(2, 3, 64, 32), intermediates_only=True)
    assert [tuple(one.shape) for one in maps] == [(2, w, 16 // 2**i, 8 // 2**i) for i, w in enumerate(WIDTHS)]
    assert [info["reduction"] for info in model.feature_info] == [4, 8, 16, 32]
    assert [info["num_chs"] for info in model.feature_info] == list(WIDTHS)


@pytest.mark.parametrize("size", [(33, 47), (61, 39), (50, 36)])
@every_host
def test_odd_image_sizes_are_taken(name, size):
    model = by_timm(name).double().eval()
    assert model(image(*size)).isfinite().all()


@every_host
def test_an_image_does_not_see_the_others_of_its_batch(name):
    model, batch = by_timm(name).double().eval(), image(37, 45, batch=3)
    alone = torch.cat([model(one[None]) for one in batch])
    torch.testing.assert_close(model(batch), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("build", [by_timm, by_keys])
def test_the_class_token_lives_in_the_last_stage_and_the_head_reads_it(build):
    model = build("pvt_tiny").double().eval()
    assert [0 if stage.prefix is None else stage.prefix.shape[1] for stage in model.stages] == [0, 0, 0, 1]
    assert model.num_prefix_tokens == 1
    features = model.forward_features(image(32, 32))
    assert features.shape == (2, 2, 64), "the class token and the one token of the map"
    assert torch.equal(model.pool(features), features[:, 0])
    assert torch.equal(model.forward_head(features), model.head(features[:, 0]))


def test_the_average_leaves_the_class_token_out():
    model = by_timm("pvt_tiny", global_pool="avg").double().eval()
    features = model.forward_features(image(64, 64))
    assert torch.equal(model.pool(features), features[:, 1:].mean(1))


def test_without_a_class_token_the_head_reads_the_average_of_the_normalised_map():
    model = by_timm("swin_tiny").double().eval()
    batch = image(64, 96)
    features = model.forward_features(batch)
    assert features.shape == (2, 2, 3, 64)
    last = model.forward_intermediates(batch, intermediates_only=True)[-1].permute(0, 2, 3, 1)
    torch.testing.assert_close(features, layer_norm(last, (64,), model.norm.weight, model.norm.bias, 1e-5))
    assert torch.equal(model.pool(features), features.flatten(1, 2).mean(1))


def test_a_pool_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"global_pool must be one of 'avg', '' here, got global_pool='token'"):
        by_timm("swin_tiny", global_pool="token")


@every_host
def test_both_ways_of_building_give_the_same_parameters(name):
    torch.manual_seed(0)
    one = by_timm(name).state_dict()
    torch.manual_seed(0)
    other = by_keys(name).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@every_host
def test_gradients_are_the_same_with_recomputation(name):
    batch, found = image(32, 32), []
    for enable in (False, True):
        torch.manual_seed(0)
        model = by_timm(name).double().train()
        model.set_grad_checkpointing(enable)
        model(batch).square().sum().backward()
        found.append({key: weight.grad for key, weight in model.named_parameters()})
    for key, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][key], rtol=0, atol=1e-10)


@pytest.mark.parametrize("output_fmt", ["NCHW", "NHWC"])
def test_intermediate_maps_come_in_either_layout(output_fmt):
    model = by_timm("swin_tiny").eval()
    final, maps = model.forward_intermediates(torch.randn(1, 3, 32, 64), indices=[0, 2], output_fmt=output_fmt)
    shapes = {"NCHW": [(1, 16, 8, 16), (1, 48, 2, 4)], "NHWC": [(1, 8, 16, 16), (1, 2, 4, 48)]}
    assert [tuple(one.shape) for one in maps] == shapes[output_fmt]
    assert final.shape == (1, 1, 2, 64)
    with pytest.raises(ValueError, match="output_fmt must be NCHW or NHWC, got output_fmt='NLC'"):
        model.forward_intermediates(torch.randn(1, 3, 32, 32), output_fmt="NLC")


def test_stages_behind_the_last_chosen_one_are_dropped():
    model = by_timm("swin_tiny").eval()
    batch = torch.randn(1, 3, 32, 32)
    before = model.forward_intermediates(batch, indices=[1], intermediates_only=True)[0]
    assert model.prune_intermediate_layers([1], prune_norm=True) == [1]
    assert len(model.stages) == 2
    assert torch.equal(model.forward_intermediates(batch, indices=[1], intermediates_only=True)[0], before)


@every_host
def test_multiply_adds_grow_with_the_image_as_the_stages_say(name):
    model = by_timm(name)
    sides = [(8, 12), (4, 6), (2, 3), (1, 2 if name not in ("pvt_tiny", "slide_pvt_tiny") else 1)]
    stages = sum(stage.macs(*side) for stage, side in zip(model.stages, sides, strict=True))
    assert model.macs(32, 48) == stages + 64 * 10

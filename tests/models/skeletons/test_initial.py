"""Initial weights: by name, so that two arms of an ablation start from the same ones wherever they share a parameter."""

import math

import pytest
import timm
import torch
from torch import nn

from tests.models.every_model import every_model, smallest
from vitmodels.presets.deit import MLP_BRANCH, every_stage
from vitmodels.skeletons.initial import (
    draw_seed,
    fan_out_weights,
    initialise,
    torch_weights,
    vision_transformer_weights,
)


def parameters(name, seed, **parts):
    torch.manual_seed(seed)
    model = timm.create_model(name, **parts)
    return {key: value.detach() for key, value in model.named_parameters()}


def feed_forward(**arguments):
    return every_stage(feed_forward={"op": {"init_args": arguments}})


@pytest.mark.parametrize(
    ("arm", "parts", "lost", "gained"),
    [
        ("localvit_tiny_h_swish", {}, ".channel_attention.", None),
        ("localvit_tiny_relu6", {}, ".channel_attention.", None),
        ("localvit_tiny_se4", {}, ".channel_attention.", ".channel_attention."),
        ("localvit_tiny_eca", {}, ".channel_attention.", ".channel_attention."),
        ("localvit_tiny", feed_forward(placement="none"), ".middle.", None),
        ("localvit_tiny", feed_forward(kernel_size=5), ".middle.0.", ".middle.0."),
        ("localvit_tiny", every_stage(feed_forward=MLP_BRANCH), ".feed_forward.", ".feed_forward."),
        ("localvit_tiny", every_stage(mixer={"op": {"init_args": {"head_dim": 64}}}), None, None),
        ("localvit_tiny", {"num_classes": 10}, "head.", "head."),
        ("localvit_tiny", {"depth": 9}, "blocks.", None),
        ("localvit_tiny", {"drop_path_rate": 0.1, "drop_rate": 0.1}, None, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_two_arms_share_every_weight_that_they_share_by_name_and_shape(arm, parts, lost, gained):
    plain, other = parameters("localvit_tiny", 3), parameters(arm, 3, **parts)
    shared = {key for key in plain.keys() & other.keys() if plain[key].shape == other[key].shape}
    assert not [key for key in shared if not plain[key].equal(other[key])]
    assert all(lost is not None and lost in key for key in plain.keys() - shared)
    assert all(gained is not None and gained in key for key in other.keys() - shared)
    assert len(shared) > len(plain) // 3


@every_model
def test_two_models_made_in_a_row_differ_in_every_random_weight(name):
    torch.manual_seed(3)
    first, second = (dict(timm.create_model(name).named_parameters()) for _ in range(2))
    same = {key for key, value in first.items() if value.equal(second[key])}
    constant = {key for key, value in first.items() if value.eq(value.flatten()[0]).all()}
    assert same == constant
    assert all(
        key.endswith("bias") or ".norm." in key or key.startswith("norm.") or first[key].eq(1).all() for key in same
    )


@every_model
def test_the_weights_depend_on_the_seed_and_the_names_alone(name):
    """Whatever was drawn while the modules were made is replaced: no random parameter escapes ``initialise``."""
    models = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        models.append(timm.create_model(name))
        initialise(models[-1], 7, vision_transformer_weights)
    assert all(one.equal(two) for one, two in zip(*(model.parameters() for model in models), strict=True))


@smallest
def test_the_same_seed_gives_the_same_weights(name):
    first, second = parameters(name, 5), parameters(name, 5)
    assert all(value.equal(second[key]) for key, value in first.items())
    other = parameters(name, 6)
    assert not other["head.weight"].equal(first["head.weight"])


def test_the_blocks_of_a_model_differ():
    weights = parameters("deit_tiny", 0)
    assert len({weights[f"blocks.{index}.mixer.op.qkv.weight"].sum().item() for index in range(12)}) == 12


@pytest.mark.parametrize("name", ["deit_tiny", "localvit_tiny"])
def test_the_distributions_are_those_of_timms_vision_transformer(name):
    model = timm.create_model(name)
    assert model.prefix.std().item() == pytest.approx(0.02, rel=0.2)
    assert model.position.table.std().item() == pytest.approx(0.02, rel=0.03)
    for key, module in model.named_modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.06), key
            assert not module.bias.any(), key
        elif isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            assert module.weight.abs().max().item() <= 1 / math.sqrt(fan_in), key
            assert module.weight.std().item() == pytest.approx(1 / math.sqrt(3 * fan_in), rel=0.06), key
        elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
            assert module.weight.eq(1).all(), key
            assert not module.bias.any(), key


def test_the_seed_is_drawn_from_torchs_generator():
    torch.manual_seed(1)
    first = [draw_seed(), draw_seed()]
    torch.manual_seed(1)
    assert [draw_seed(), draw_seed()] == first
    assert first[0] != first[1]


def test_initialising_leaves_torchs_generator_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    before = torch.get_rng_state()
    initialise(model, 1, vision_transformer_weights)
    assert torch.get_rng_state().equal(before)


@every_model
def test_a_model_is_made_on_the_meta_device_without_memory(name):
    with torch.device("meta"):
        model = timm.create_model(name)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}
    assert model.eval()(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)


def test_weights_made_on_the_meta_device_can_be_drawn_later():
    with torch.device("meta"):
        model = timm.create_model("localvit_tiny", img_size=64)
    model = model.to_empty(device="cpu")
    initialise(model, 9, vision_transformer_weights)
    ready = timm.create_model("localvit_tiny", img_size=64)
    initialise(ready, 9, vision_transformer_weights)
    assert all(one.equal(two) for one, two in zip(model.parameters(), ready.parameters(), strict=True))
    assert all(one.equal(two) for one, two in zip(model.buffers(), ready.buffers(), strict=True))


@pytest.mark.parametrize("groups", [1, 64])
def test_fan_out_weights_have_the_variance_of_what_a_channel_feeds(groups):
    torch.manual_seed(0)
    convolution = nn.Conv2d(64, 128, 3, groups=groups)
    fan_out_weights(convolution)
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 128 / groups)), rel=0.05)
    assert not convolution.bias.any()


def test_fan_out_weights_are_vision_transformer_weights_beside_convolutions():
    linear, norm = nn.Linear(300, 300), nn.LayerNorm(300)
    norm.weight.data.fill_(3)
    for module in (linear, norm):
        fan_out_weights(module)
    assert linear.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not linear.bias.any()
    assert norm.weight.eq(1).all()


@pytest.mark.parametrize("make", [lambda: nn.Linear(20, 30), lambda: nn.Conv2d(8, 16, 3)])
def test_torch_weights_are_those_a_module_is_born_with(make):
    torch.manual_seed(4)
    born = make()
    given = make()
    torch.manual_seed(4)
    torch_weights(given)
    assert given.weight.equal(born.weight)
    assert given.bias.equal(born.bias)

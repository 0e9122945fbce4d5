"""T2T's stem, T2T-ViT and LocalViT on it."""

import math

import pytest
import timm
import torch
from torch import nn
from torch.nn.functional import gelu, layer_norm, unfold
from torch.utils.flop_counter import FlopCounterMode

from tests.core.checks import assert_same_function, randomise
from tests.golden_records import goldenfill, model_record
from vitcore import LocalityFeedForward, Mlp, PerformerAttention, TokenAttention, sinusoidal_table
from vitmodels import RasterPosition, part
from vitmodels.presets import t2t_vit
from vitmodels.presets.tokens_to_token import TokensToToken
from vitmodels.skeletons.checkpoint import translate
from vitmodels.skeletons.initial import initialise, vision_transformer_weights
from vitmodels.skeletons.timm_interface import PRESETS

SIZES = {
    "t2t_vit_7": ("4.256", 1.147),
    "t2t_vit_14": ("21.466", 4.783),
    "t2t_vit_14_resnext": ("21.466", 4.783),
    "t2t_vit_14_wide": ("25.001", 5.229),
    "t2t_vit_t_14": ("21.465", 6.089),
    "t2t_vit_t_19": ("39.085", 9.785),
    "t2t_vit_t_24": ("64.001", 14.967),
    "localvit_t2t": ("4.331", 1.154),
    "localvit_t2t_t": ("4.330", 2.459),
}
SMALL = {"width": 64, "depth": 3, "img_size": 64, "num_classes": 5}


def mlp_stem(mixer=TokenAttention, token_width=8):
    return TokensToToken(3, 16, token_width, mixer)


def images(h=64, w=64, b=2):
    return torch.randn(b, 3, h, w, dtype=torch.float64)


@pytest.mark.parametrize("size", [(32, 48), (37, 21)])
def test_the_stem_unfolds_attends_and_transforms_twice_and_unfolds_once_more(size):
    stem = randomise(mlp_stem())

    def linear(tokens, module):
        return tokens @ module.weight.T + (0 if module.bias is None else module.bias)

    def norm(tokens, module):
        return layer_norm(tokens, tokens.shape[-1:], module.weight, module.bias, module.eps)

    def layer(tokens, module):
        q, k, v = linear(norm(tokens, module.norm), module.mixer.qkv).chunk(3, -1)
        weights = (q @ k.transpose(1, 2) / math.sqrt(tokens.shape[-1])).softmax(-1)
        tokens = v + linear(weights @ v, module.mixer.projection)
        hidden = gelu(linear(norm(tokens, module.feed_forward_norm), module.feed_forward.expand))
        return tokens + linear(hidden, module.feed_forward.contract)

    def twin(image):
        h, w = image.shape[2:]
        tokens = unfold(image, 7, stride=4, padding=2).transpose(1, 2)
        h, w = (h + 4 - 7) // 4 + 1, (w + 4 - 7) // 4 + 1
        for module in stem.layers:
            tokens = layer(tokens, module)
            tokens = unfold(tokens.transpose(1, 2).unflatten(2, (h, w)), 3, stride=2, padding=1).transpose(1, 2)
            h, w = (h - 1) // 2 + 1, (w - 1) // 2 + 1
        return linear(tokens, stem.projection).unflatten(1, (h, w))

    assert_same_function(stem, twin, images(*size).requires_grad_())


@pytest.mark.parametrize("size", [(224, 224), (64, 96), (50, 33), (3, 17)])
def test_the_stem_tells_the_size_of_its_grid(size):
    stem = mlp_stem().double()
    assert stem(images(*size)).shape == (2, *stem.map_size(*size), 16)
    assert stem.reduction == 16


@pytest.mark.parametrize("size", [(224, 224), (64, 96)])
@pytest.mark.parametrize("mixer", [PerformerAttention, TokenAttention])
def test_the_stem_states_its_cost(size, mixer):
    stem = mlp_stem(mixer).double()
    with FlopCounterMode(display=False) as counter:
        stem(images(*size, b=1))
    assert stem.macs(*stem.map_size(*size)) == counter.get_total_flops() / 2


def test_an_image_smaller_than_a_patch_is_refused_with_its_size():
    with pytest.raises(ValueError, match=r"SoftSplit: the map must hold at least one patch, got map=\(2, 9\)"):
        mlp_stem().double()(images(2, 9))
    with pytest.raises(ValueError, match=r"column: img_size must hold at least one patch, got img_size=2, "):
        timm.create_model("t2t_vit_7", img_size=2)


def test_the_positions_of_a_map_of_any_size_are_computed_not_interpolated():
    position = RasterPosition(16, (4, 4), 1)
    grid, prefix = torch.zeros(2, 3, 5, 16, dtype=torch.float64), torch.zeros(1, 1, 16, dtype=torch.float64)
    places, prefix_places = position.forward_prefixed(grid, prefix)
    table = sinusoidal_table(torch.arange(16), 16).double()
    assert prefix_places.equal(table[None, :1])
    assert places.equal(table[1:].view(1, 3, 5, 16).expand(2, -1, -1, -1))
    assert not list(position.state_dict())


@pytest.mark.parametrize("name", SIZES)
def test_parameters_and_cost_are_the_published_ones(name):
    model = timm.create_model(name, device="meta")
    parameters, gmacs = SIZES[name]
    assert f"{sum(p.numel() for p in model.parameters()) / 1e6:.3f}" == parameters
    assert model.macs(224, 224) / 1e9 == pytest.approx(gmacs, abs=6e-4)


def test_the_performers_directions_depend_on_the_seed_and_their_name_alone():
    def directions(seed, name="t2t_vit_7", **arguments):
        torch.manual_seed(seed)
        model = timm.create_model(name, **(SMALL | arguments))
        return [layer.mixer.directions for layer in model.stem.layers]

    first, second = directions(3)
    assert not first.equal(second)
    assert not first.equal(directions(4)[0])
    for same in (directions(3), directions(3, depth=5), directions(3, name="localvit_t2t", width=128)):
        assert first.equal(same[0])
        assert second.equal(same[1])
    torch.testing.assert_close(first @ first.T, 32 * torch.eye(32), atol=1e-4, rtol=0)


def test_directions_made_on_the_meta_device_can_be_drawn_later():
    with torch.device("meta"):
        model = timm.create_model("t2t_vit_7", **SMALL)
    model = model.to_empty(device="cpu")
    ready = timm.create_model("t2t_vit_7", **SMALL)
    for one in (model, ready):
        initialise(one, 9, vision_transformer_weights)
    assert model.stem.layers[1].mixer.directions.equal(ready.stem.layers[1].mixer.directions)


@pytest.mark.parametrize("name", ["t2t_vit_7", "t2t_vit_t_14", "localvit_t2t", "localvit_t2t_t"])
def test_every_parameter_but_those_of_the_last_locality_gets_a_gradient(name):
    model = timm.create_model(name, **SMALL | {"width": 256}).double().train()
    model(images()).square().mean().backward()
    assert not [key for key, parameter in model.named_parameters() if parameter.grad is None]
    still = {key for key, parameter in model.named_parameters() if not parameter.grad.any()}
    assert all(key.startswith("blocks.2.feed_forward.") for key in still)
    assert bool(still) == name.startswith("localvit")


def test_the_compatible_localvit_has_norms_that_nothing_uses_and_computes_the_same():
    plain = randomise(timm.create_model("localvit_t2t", **SMALL))
    compatible = timm.create_model("localvit_t2t_compat", **SMALL).double().eval()
    missing, unexpected = compatible.load_state_dict(plain.state_dict(), strict=False)
    idle = {f"stem.layers.{i}.feed_forward_norm.{leaf}" for i in (0, 1) for leaf in ("weight", "bias")}
    assert (set(missing), unexpected) == (idle, [])
    image = images()
    logits = compatible(image)
    assert logits.equal(plain(image))
    logits.sum().backward()
    assert {key for key, parameter in compatible.named_parameters() if parameter.grad is None} == idle


@pytest.mark.parametrize("positions", [True, False], ids=["with_the_fixed_table", "without"])
def test_public_weights_of_localvit_load_with_and_without_what_carries_no_weight(positions):
    record = model_record("localvit", "localvit_T2t_conv7")
    state = goldenfill.make_state_dict(record)
    if positions:
        state["pos_embed"] = torch.zeros(1, 197, 256)
    else:
        state = {key: value for key, value in state.items() if ".norm2." not in key}
    model = timm.create_model("localvit_t2t").eval()
    model.load_state_dict(translate(state, PRESETS["localvit_t2t"].rules, model))
    logits = model(goldenfill.record_input(record))
    assert goldenfill.compare(logits, record["logits"])["max_rel"] < 1e-4


def test_the_transformers_stem_takes_the_names_of_its_public_code():
    """There is no record of it: the names are those of ``T2t_vit_t_14`` and, for the feed-forward, of ``localvit_T2t_conv7``."""
    host, local = (
        {name: torch.zeros(shape) for name, shape, *_ in model_record(*key)["state_dict"]}
        for key in (("localvit_baselines", "T2t_vit_t_14"), ("localvit", "localvit_T2t_conv7"))
    )
    attention = {key: value for key, value in host.items() if ".norm1." in key or ".attn." in key}
    stem = {key: value for key, value in attention.items() if key.startswith("tokens_to_token.")}
    rest = {k: v for k, v in local.items() if not k.startswith("tokens_to_token.") or ".conv." in k or ".project." in k}
    model = timm.create_model("localvit_t2t_t")
    translated = translate(stem | rest, PRESETS["localvit_t2t_t"].rules, model)
    model.load_state_dict(translated)
    assert not model.stem.layers[0].mixer.qkv.weight.any()


def test_the_parts_of_the_stem_are_swapped_by_name():
    change = {"stem": {"init_args": {"feed_forward": {"init_args": {"activation": "torch.nn.ReLU6"}}}}}
    model = timm.create_model("localvit_t2t", **SMALL, **change)
    layer = model.stem.layers[1]
    assert [type(layer.mixer), type(layer.feed_forward)] == [PerformerAttention, LocalityFeedForward]
    assert isinstance(layer.feed_forward.middle[2], nn.ReLU6)
    change = {"stem": {"init_args": {"mixer": part(t2t_vit.ATTENTION), "feed_forward": part("vitcore.Mlp", ratio=2.0)}}}
    layer = timm.create_model("localvit_t2t", **SMALL, **change).stem.layers[0]
    assert [type(layer.mixer), type(layer.feed_forward)] == [TokenAttention, Mlp]
    assert layer.feed_forward.expand.out_features == 128

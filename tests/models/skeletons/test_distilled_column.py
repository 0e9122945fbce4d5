"""DeiT with a distillation token: two tokens, two heads, one answer."""

import pytest
import timm
import torch
from timm.models._manipulate import group_parameters
from torch.utils.flop_counter import FlopCounterMode

import vitmodels  # noqa: F401 (registers the models)
from tests.core.checks import randomise
from vitmodels.skeletons.checkpoint import translate
from vitmodels.skeletons.timm_interface import PRESETS

NAME = "deit_tiny_distilled"
SMALL = {"img_size": 64, "depth": 3, "num_classes": 5}
SIZES = {NAME: "5.911", "deit_small_distilled": "22.436", "deit_base_distilled": "87.338"}


def images(h=64, w=64, b=2):
    return torch.randn(b, 3, h, w, dtype=torch.float64)


def small(**arguments):
    return randomise(timm.create_model(NAME, **(SMALL | arguments)))


@pytest.fixture
def pair():
    """Timm's model and ours with its weights."""
    theirs = randomise(timm.create_model("deit_tiny_distilled_patch16_224", img_size=(64, 96), num_classes=5))
    ours = timm.create_model(NAME, img_size=(64, 96), num_classes=5).double().eval()
    ours.load_state_dict(translate(theirs.state_dict(), PRESETS[NAME].rules, ours))
    return theirs, ours


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("distilled", [False, True])
def test_it_computes_what_timms_does(pair, training, distilled):
    image = images(64, 96)
    outputs = []
    for model in pair:
        model.train(training).set_distilled_training(distilled)
        outputs.append(model(image))
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    assert isinstance(outputs[1], tuple) == (training and distilled)


def test_features_pooled_features_and_headless_outputs_are_timms(pair):
    image = images(64, 96)
    read, headless = [], []
    for model in pair:
        features = model.forward_features(image)
        read.append((features, model.forward_head(features, pre_logits=True)))
        model.reset_classifier(0)
        headless.append(model(image))
    torch.testing.assert_close(*read, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(*headless, rtol=1e-9, atol=1e-9)
    assert headless[1].equal(read[1][1])


def test_gradients_are_timms(pair):
    image = images(64, 96)
    for model in pair:
        model.train().set_distilled_training()
        own, taught = model(image)
        (own.square().mean() + taught.sin().mean()).backward()
    theirs, ours = (dict(model.named_parameters()) for model in pair)
    names = {key: PRESETS[NAME].rules.rename(key, ours)[0] for key in theirs}
    assert sorted(names.values()) == sorted(ours)
    for key, name in names.items():
        torch.testing.assert_close(ours[name].grad, theirs[key].grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SIZES)
def test_it_has_deits_parameters_and_those_of_a_token_a_position_and_a_head(name):
    model, plain = (timm.create_model(one, device="meta") for one in (name, name.removesuffix("_distilled")))
    count, plain_count = (sum(p.numel() for p in one.parameters()) for one in (model, plain))
    assert count - plain_count == 2 * model.num_features + 1000 * (model.num_features + 1)
    assert f"{count / 1e6:.3f}" == SIZES[name]


def test_the_stated_cost_is_what_torch_counts():
    model = small()
    with FlopCounterMode(display=False) as counter:
        model(images(64, 96, b=1))
    assert model.macs(64, 96) == counter.get_total_flops() / 2


def test_each_head_reads_its_token_and_the_answer_is_their_mean():
    model = small()
    image = images()
    features = model.forward_features(image)
    assert features.shape == (2, 2 + 16, 192)
    own, taught = model.head(features[:, 0]), model.distillation_head(features[:, 1])
    assert model(image).equal((own + taught) / 2)
    assert model.train()(image).equal((own + taught) / 2), "training with labels alone averages too"
    model.set_distilled_training()
    assert all(ours.equal(wanted) for ours, wanted in zip(model(image), (own, taught), strict=True))
    assert model.eval()(image).equal((own + taught) / 2)
    model.train().set_distilled_training(False)
    assert model(image).equal((own + taught) / 2)


def test_the_heads_learn_apart_in_distilled_training():
    model = small().train()
    model.set_distilled_training()
    model(images())[1].square().mean().backward()
    assert model.head.weight.grad is None
    assert model.distillation_head.weight.grad.any()
    assert model.distillation_prefix.grad.any()


def test_the_two_tokens_have_their_own_positions():
    model = small()
    _, prefix = model.embed(images())
    tokens = torch.cat((model.prefix, model.distillation_prefix), dim=1)
    assert prefix.equal((tokens + model.position.table[:, :2]).expand(2, -1, -1))
    assert model.position.table.shape == (1, 2 + 16, 192)
    assert model.num_prefix_tokens == 2


def test_both_heads_are_replaced_together():
    model = timm.create_model(NAME, dtype=torch.float64, **SMALL)
    model.reset_classifier(500)
    heads = model.get_classifier()
    assert heads == (model.head, model.distillation_head)
    for head in heads:
        assert head.weight.shape == (500, 192)
        assert head.weight.dtype == head.bias.dtype == torch.float64
        assert head.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert not head.bias.any()
    assert not heads[0].weight.equal(heads[1].weight)
    image = images()
    features = model.eval().forward_features(image)
    model.reset_classifier(0, "")
    assert model(image).equal(features)
    assert not [parameter for head in model.get_classifier() for parameter in head.parameters()]
    model.reset_classifier(7, "avg")
    average = features[:, 2:].mean(dim=1)
    assert model(image).equal((model.head(average) + model.distillation_head(average)) / 2)
    with pytest.raises(ValueError, match="DistilledColumn: global_pool must be one of 'token', 'avg', '' here"):
        model.reset_classifier(3, "max")


def test_tokens_and_positions_take_no_weight_decay():
    assert small().no_weight_decay() == {"prefix", "distillation_prefix", "position.table"}


def test_the_heads_are_the_last_group_and_the_tokens_the_first():
    model = timm.create_model(NAME, device="meta")
    groups = list(group_parameters(model, model.group_matcher()).values())
    first, last = ({name.split(".")[0] for name in group} for group in (groups[0], groups[-1]))
    assert first == {"prefix", "distillation_prefix", "position", "stem"}
    assert last == {"head", "distillation_head"}


def test_it_starts_from_deits_weights_wherever_they_share_a_parameter():
    weights = []
    for name in ("deit_tiny", NAME):
        torch.manual_seed(3)
        weights.append(dict(timm.create_model(name, **SMALL).named_parameters()))
    plain, distilled = weights
    assert all(value.equal(distilled[key]) for key, value in plain.items() if key != "position.table")
    assert set(distilled) - set(plain) == {
        "distillation_prefix",
        "distillation_head.weight",
        "distillation_head.bias",
    }
    assert distilled["distillation_prefix"].std().item() == pytest.approx(0.02, rel=0.2)
    assert not distilled["distillation_prefix"].equal(distilled["prefix"])


def test_intermediates_carry_both_tokens():
    model = small()
    final, [(grid, prefix)] = model.forward_intermediates(
        images(64, 96), indices=1, return_prefix_tokens=True, norm=True, output_fmt="NLC"
    )
    torch.testing.assert_close(torch.cat((prefix, grid), dim=1), final)
    assert prefix.shape == (2, 2, 192)


def test_the_model_compiles_without_a_graph_break():
    model = small(depth=1)
    image = images()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), model(image))

"""What timm asks of every model that it lists, checked on every model of ours.

TorchScript is left out: PyTorch has deprecated it, and ``torch.compile`` and ``torch.export`` are checked instead.
"""

import json

import pytest
import timm
import torch
from timm.data import resolve_data_config
from timm.models import get_model_input_config, get_notrace_functions, get_notrace_modules, save_for_hf
from timm.models._manipulate import group_parameters
from timm.optim import create_optimizer_v2, param_groups_layer_decay
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from tests.golden_records import goldenfill, model_record
from tests.models.every_model import SMALLEST, every_model

smallest = pytest.mark.parametrize("name", SMALLEST)
PUBLIC = {
    "deit_tiny": ("localvit_baselines", "deit_tiny_patch16_224"),
    "localvit_tiny": ("localvit", "localvit_tiny_mlp4_act3_r192"),
}


def images(h=64, w=64, b=2, channels=3):
    return torch.randn(b, channels, h, w)


def seeded(name, **arguments):
    """A model that has the same weights at each call: they depend on the seed and the parameters' names alone."""
    torch.manual_seed(11)
    return timm.create_model(name, **arguments)


@every_model
@pytest.mark.parametrize("size", [(224, 224), (256, 160), (64, 96), (50, 33)])
def test_images_of_any_size_become_finite_logits(name, size):
    logits = timm.create_model(name).eval()(images(*size))
    assert logits.shape == (2, 1000)
    assert logits.isfinite().all()


@every_model
def test_every_parameter_gets_a_gradient(name):
    model = timm.create_model(name, num_classes=42).train()
    logits = model(images())
    assert logits.shape == (2, 42)
    logits.square().mean().backward()
    gradients = {key: value.grad for key, value in model.named_parameters()}
    assert not [key for key, gradient in gradients.items() if gradient is None]
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    still = {key for key, gradient in gradients.items() if not gradient.any()}
    passed_by = {key for key in gradients if key.startswith("blocks.11.feed_forward.") and "localvit" in name}
    assert still == passed_by, "only the last locality feed-forward, which the class token passes by, has no influence"


@every_model
def test_the_default_configuration_tells_the_truth(name):
    model = timm.create_model(name)
    cfg, state = model.default_cfg, model.state_dict()
    assert cfg is model.pretrained_cfg
    assert cfg["architecture"] == name
    assert cfg["input_size"] == (3, 224, 224)
    assert cfg["num_classes"] == model.num_classes == len(state[f"{cfg['classifier']}.weight"])
    assert state[f"{cfg['first_conv']}.weight"].shape[1] == cfg["input_size"][0] == model.in_chans
    assert model.num_features == model.head_hidden_size == model.get_classifier().in_features > 0
    assert model.get_classifier() is model.get_submodule(cfg["classifier"])
    data = resolve_data_config(model=model)
    assert (data["input_size"], data["interpolation"], data["mean"]) == (
        (3, 224, 224),
        "bicubic",
        (0.485, 0.456, 0.406),
    )


@every_model
def test_the_head_can_be_taken_off_and_put_back(name):
    model = timm.create_model(name).eval()
    image = images()
    features = model.forward_features(image)
    assert features.shape == (2, 1 + 16, model.num_features)
    pooled = model.forward_head(features, pre_logits=True)
    assert pooled.equal(features[:, 0])

    model.reset_classifier(0)
    assert model.num_classes == 0
    assert model(image).equal(pooled)
    model.reset_classifier(0, "")
    assert model(image).equal(features)
    model.reset_classifier(7, "avg")
    assert model(image).shape == (2, 7)
    assert model.forward_head(features, pre_logits=True).equal(features[:, 1:].mean(dim=1))


@every_model
def test_a_fresh_head_has_the_models_precision_and_initial_weights(name):
    model = timm.create_model(name, dtype=torch.float64)
    model.reset_classifier(500)
    head = model.get_classifier()
    assert head.weight.dtype == head.bias.dtype == torch.float64
    assert head.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not head.bias.any()


@smallest
def test_the_constructor_chooses_classes_pooling_and_channels(name):
    image = images()
    features = seeded(name).eval().forward_features(image)
    assert seeded(name, num_classes=0).eval()(image).equal(features[:, 0])
    assert seeded(name, num_classes=0, global_pool="token").eval()(image).equal(features[:, 0])
    assert seeded(name, num_classes=0, global_pool="avg").eval()(image).equal(features[:, 1:].mean(dim=1))
    assert seeded(name, num_classes=0, global_pool="").eval()(image).equal(features)
    assert seeded(name, num_classes=7, global_pool="").eval()(image).shape == (2, 17, 7)
    grey = timm.create_model(name, num_classes=7, in_chans=1).eval()
    assert grey(images(channels=1)).shape == (2, 7)
    assert get_model_input_config(grey)["input_size"] == (1, 224, 224)


@smallest
def test_an_unknown_pooling_is_refused_and_changes_nothing(name):
    message = "Column: global_pool must be one of 'token', 'avg', '' here, got global_pool='max'."
    with pytest.raises(ValueError, match=message):
        timm.create_model(name, global_pool="max")
    model = timm.create_model(name)
    with pytest.raises(ValueError, match=message):
        model.reset_classifier(3, "max")
    assert (model.num_classes, model.global_pool) == (1000, "token")


@every_model
@pytest.mark.parametrize(("chosen", "blocks"), [({}, [9, 10, 11]), ({"out_indices": (0, 4, -3)}, [0, 4, 9])])
def test_feature_maps_are_what_feature_info_says(name, chosen, blocks):
    backbone = seeded(name, features_only=True, **chosen).eval()
    image = images(64, 96)
    maps = backbone(image)
    info = backbone.feature_info
    assert [tuple(m.shape) for m in maps] == [
        (2, width, 64 // reduction, 96 // reduction)
        for width, reduction in zip(info.channels(), info.reduction(), strict=True)
    ]
    assert info.module_name() == [f"blocks.{index}" for index in blocks]
    whole = seeded(name).eval()
    outputs = {}
    for index in blocks:
        block = whole.get_submodule(f"blocks.{index}")
        block.register_forward_hook(lambda _, __, output, index=index: outputs.update({index: output[0]}))
    whole(image)
    for index, feature_map in zip(blocks, maps, strict=True):
        assert feature_map.equal(outputs[index].permute(0, 3, 1, 2))


@every_model
def test_the_intermediates_end_in_forward_features(name):
    model = timm.create_model(name).eval()
    image = images(64, 96)
    final, maps = model.forward_intermediates(image)
    assert final.equal(model.forward_features(image))
    assert [tuple(m.shape) for m in maps] == [(2, model.num_features, 4, 6)] * 12
    _, normalised = model.forward_intermediates(image, indices=1, norm=True, output_fmt="NLC")
    torch.testing.assert_close(normalised[0], final[:, 1:])


@every_model
def test_the_intermediates_come_in_the_form_asked_for(name):
    model = timm.create_model(name).eval()
    image = images(64, 96)
    _, maps = model.forward_intermediates(image, indices=[1, -2])
    alone = model.forward_intermediates(image, indices=[1, -2], intermediates_only=True)
    tokens = model.forward_intermediates(image, indices=[1, -2], intermediates_only=True, output_fmt="NLC")
    pairs = model.forward_intermediates(image, indices=[1, -2], intermediates_only=True, return_prefix_tokens=True)
    assert len(maps) == len(alone) == len(tokens) == len(pairs) == 2
    for grid, again, sequence, (beside_grid, prefix) in zip(maps, alone, tokens, pairs, strict=True):
        assert again.equal(grid)
        assert beside_grid.equal(grid)
        assert sequence.equal(grid.flatten(2).transpose(1, 2))
        assert prefix.shape == (2, 1, model.num_features)
    with pytest.raises(ValueError, match="output_fmt must be NCHW or NLC, got output_fmt='NHWC'"):
        model.forward_intermediates(image, output_fmt="NHWC")


@smallest
def test_prefix_tokens_and_norm_go_together_in_the_intermediates(name):
    model = timm.create_model(name).eval()
    image = images()
    final, [(grid, prefix)] = model.forward_intermediates(
        image, indices=1, return_prefix_tokens=True, norm=True, output_fmt="NLC"
    )
    torch.testing.assert_close(torch.cat((prefix, grid), dim=1), final)


@smallest
def test_stopping_early_leaves_the_later_blocks_out(name):
    model = timm.create_model(name).eval()
    image = images()
    ran = []
    for index, block in enumerate(model.blocks):
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
    final, maps = model.forward_intermediates(image, indices=[2, 4], stop_early=True, output_fmt="NLC")
    assert ran == [0, 1, 2, 3, 4]
    torch.testing.assert_close(final[:, 1:], model.norm(maps[-1]))
    _, whole = model.forward_intermediates(image, indices=[2, 4], output_fmt="NLC")
    assert all(early.equal(late) for early, late in zip(maps, whole, strict=True))


@every_model
def test_pruning_keeps_what_the_chosen_features_need(name):
    model = timm.create_model(name).eval()
    image = images()
    before = model.forward_intermediates(image, indices=[1, -5], intermediates_only=True)
    assert model.prune_intermediate_layers([1, -5], prune_norm=True) == [1, 7]
    assert len(model.blocks) == 8
    assert not list(model.norm.parameters())
    assert not list(model.get_classifier().parameters())
    after = model.forward_intermediates(image, indices=[1, 7], intermediates_only=True)
    assert all(a.equal(b) for a, b in zip(after, before, strict=True))


@smallest
def test_pruning_leaves_norm_and_head_on_request(name):
    model = timm.create_model(name, num_classes=5).eval()
    model.prune_intermediate_layers(12, prune_head=False)
    assert model(images()).shape == (2, 5)


@every_model
@pytest.mark.parametrize("coarse", [False, True])
def test_every_parameter_falls_into_the_group_of_its_depth(name, coarse):
    model = timm.create_model(name, device="meta")
    groups = group_parameters(model, model.group_matcher(coarse))
    assert sorted(name for group in groups.values() for name in group) == sorted(dict(model.named_parameters()))
    first_words = [{name.split(".")[0] for name in group} for group in groups.values()]
    assert first_words == [{"prefix", "position", "stem"}, *[{"blocks"}] * 11, {"blocks", "norm"}, {"head"}]
    for depth in range(12):
        assert {name.split(".")[1] for name in groups[depth + 1] if name.startswith("blocks")} == {str(depth)}


@every_model
def test_layer_decay_slows_the_lower_layers_down(name):
    model = timm.create_model(name, device="meta")
    groups = param_groups_layer_decay(model, layer_decay=0.5, no_weight_decay_list=model.no_weight_decay())
    scale = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    depths = [model.prefix, model.blocks[0].mixer.op.qkv.weight, model.blocks[11].mixer.op.qkv.weight, model.head.bias]
    assert [scale[id(parameter)] for parameter in depths] == [0.5**13, 0.5**12, 0.5, 1.0]
    assert len(scale) == len(list(model.parameters()))


@every_model
def test_tokens_positions_norms_and_biases_take_no_weight_decay(name):
    model = timm.create_model(name)
    assert model.no_weight_decay() == {"prefix", "position.table"}
    optimizer = create_optimizer_v2(model, opt="adamw", weight_decay=0.05)
    decayed = {
        id(parameter) for group in optimizer.param_groups if group["weight_decay"] for parameter in group["params"]
    }
    for key, parameter in model.named_parameters():
        assert (id(parameter) in decayed) == (parameter.ndim > 1 and key not in ("prefix", "position.table")), key


@every_model
def test_gradient_checkpointing_changes_no_output_gradient_or_statistic(name):
    image = images()
    results = []
    for enable in (False, True):
        model = seeded(name, drop_path_rate=0.3).train()
        model.set_grad_checkpointing(enable)
        torch.manual_seed(5)
        logits = model(image)
        logits.square().mean().backward()
        results.append([logits, *(parameter.grad for parameter in model.parameters()), *model.buffers()])
    assert all(plain.equal(recomputed) for plain, recomputed in zip(*results, strict=True))


@every_model
@pytest.mark.parametrize("rate", ["drop_rate", "drop_path_rate"])
def test_each_drop_rate_acts_in_training_only(name, rate):
    model = seeded(name, **{rate: 0.5})
    image = images()
    assert not model.train()(image).equal(model(image))
    plain = seeded(name).eval()
    plain.load_state_dict(model.state_dict())
    assert model.eval()(image).equal(plain(image))


def traced(model):
    """The model's torch.fx graph, as timm's own tests make it: down to the modules that timm is told to leave whole."""
    tracer = {
        "leaf_modules": get_notrace_modules(),
        "autowrap_functions": get_notrace_functions(),
        "param_shapes_constant": True,
    }
    train, evaluation = get_graph_node_names(model, tracer_kwargs=tracer)
    return create_feature_extractor(
        model, train_return_nodes=[train[-1]], eval_return_nodes=[evaluation[-1]], tracer_kwargs=tracer
    )


@every_model
def test_the_graph_of_torch_fx_computes_the_same_logits(name):
    model = timm.create_model(name).eval()
    image = images()
    (logits,) = traced(model)(image).values()
    assert logits.equal(model(image))


# torchvision warns that stochastic depth is in the graph of the training mode alone, where it belongs.
@pytest.mark.filterwarnings("ignore:NOTE. The nodes obtained by tracing the model in eval mode:UserWarning")
@every_model
def test_the_graph_of_torch_fx_trains_every_parameter(name):
    graph = traced(timm.create_model(name, num_classes=42, drop_path_rate=0.1).train())
    (logits,) = graph(images()).values()
    assert logits.shape == (2, 42)
    logits.mean().backward()
    assert not [key for key, parameter in graph.named_parameters() if parameter.grad is None]


@pytest.fixture(scope="module")
def public_file(tmp_path_factory):
    """Return a function: name -> a checkpoint as the authors publish it, under their names and in their wrapper."""
    folder = tmp_path_factory.mktemp("public")

    def write(name):
        path = folder / f"{name}.pth"
        if not path.exists():
            torch.save({"model": goldenfill.make_state_dict(model_record(*PUBLIC[name]))}, path)
        return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(path)}}

    return write


@smallest
def test_public_weights_load_under_pretrained(name, public_file):
    record = model_record(*PUBLIC[name])
    model = timm.create_model(name, **public_file(name)).eval()
    with torch.no_grad():
        logits = model(goldenfill.record_input(record))
    assert goldenfill.compare(logits, record["logits"])["max_rel"] < 1e-4


@smallest
@pytest.mark.parametrize("num_classes", [5, 0])
def test_public_weights_load_for_other_classes_and_channels(name, num_classes, public_file):
    plain = timm.create_model(name, **public_file(name)).state_dict()
    adapted = timm.create_model(name, num_classes=num_classes, in_chans=1, **public_file(name)).state_dict()
    assert {key for key in plain if key not in adapted} == (set() if num_classes else {"head.weight", "head.bias"})
    stem = "stem.projection.weight"
    torch.testing.assert_close(adapted[stem], plain[stem].sum(dim=1, keepdim=True))
    for key, value in adapted.items():
        assert key == stem or key.startswith("head.") or value.equal(plain[key]), key


@smallest
def test_public_weights_load_into_a_backbone(name, public_file):
    image = images()
    backbone = timm.create_model(name, features_only=True, **public_file(name)).eval()
    model = timm.create_model(name, **public_file(name)).eval()
    expected = model.forward_intermediates(image, indices=3, intermediates_only=True)
    assert all(ours.equal(theirs) for ours, theirs in zip(backbone(image), expected, strict=True))


def test_weights_of_another_architecture_are_refused(public_file):
    with pytest.raises(ValueError, match=r"does not fit Column: .*no rule for blocks\.0\.mlp\.fc1\.weight"):
        timm.create_model("localvit_tiny", **public_file("deit_tiny"))


@smallest
@pytest.mark.parametrize("form", [False, True], ids=["pickle", "safetensors"])
def test_a_saved_folder_gives_the_model_back(name, form, tmp_path):
    part = {"mixer": {"op": {"init_args": {"head_dim": 32}}}}
    model = timm.create_model(name, num_classes=7, in_chans=4, img_size=(64, 96), stage2=part, depth=3).eval()
    model.reset_classifier(3, "avg")
    save_for_hf(model, tmp_path, safe_serialization=form, data_config={"mean": (0.5,) * 4, "std": (0.5,) * 4})
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architecture"], config["num_classes"], config["global_pool"]) == (name, 3, "avg")
    assert get_model_input_config(model)["input_size"] == (4, 64, 96)

    image = images(64, 96, channels=4)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert again(image).equal(model(image))
    assert again.blocks[1].mixer.op.head_dim == 32
    headless = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=0).eval()
    model.reset_classifier(0)
    assert headless(image).equal(model(image))


@every_model
def test_the_factory_takes_device_and_dtype(name):
    assert {p.device.type for p in timm.create_model(name, device="meta").parameters()} == {"meta"}
    model = seeded(name, device="cpu", dtype=torch.float64)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert {b.dtype for key, b in model.named_buffers() if key.endswith("num_batches_tracked")} <= {torch.int64}
    single = seeded(name).state_dict()
    assert all(value.float().equal(single[key].float()) for key, value in model.state_dict().items())
    assert model.eval()(images().double()).dtype == torch.float64

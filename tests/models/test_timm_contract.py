"""What timm asks of every model that it lists, checked on every model of ours.

TorchScript is left out: PyTorch has deprecated it, and ``torch.compile`` and ``torch.export`` are checked instead.
"""

import itertools
import json

import pytest
import timm
import torch
from timm.data import resolve_data_config
from timm.models import get_model_input_config, get_notrace_functions, get_notrace_modules, save_for_hf
from timm.models._manipulate import group_parameters
from timm.optim import create_optimizer_v2, param_groups_layer_decay
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from tests.golden_records import goldenfill, model_record
from tests.models.every_model import every_model, made_on_meta, smallest
from vitcore import AbsolutePosition

columns = pytest.mark.parametrize("name", ["deit_tiny", "localvit_tiny"])
NO_DECAY = {"prefix", "distillation_prefix", "table", "position", "position_bias", "messenger_bias"}
"""The last part of the names of all tokens and positions."""
PUBLIC = {
    "deit_tiny": ("localvit_baselines", "deit_tiny_patch16_224"),
    "localvit_tiny": ("localvit", "localvit_tiny_mlp4_act3_r192"),
    "pvt_tiny": ("pvt", "pvt_tiny"),
    "swin_tiny": ("swin", "swin_tiny_patch4_window7_224"),
}


public = pytest.mark.parametrize("name", PUBLIC)


def images(h=64, w=64, b=2, channels=3):
    return torch.randn(b, channels, h, w)


def heads_of(model):
    """The heads of a model: one, or two where it is distilled."""
    heads = model.get_classifier()
    return heads if isinstance(heads, tuple) else (heads,)


def pooled(model, features, kind):
    """What the head reads of the features, computed apart: the class token, the average of the map, or everything."""
    p, heads = model.num_prefix_tokens, len(heads_of(model))
    tokens = features.flatten(1, -2)
    return {"token": tokens[:, :heads].mean(dim=1), "avg": tokens[:, p:].mean(dim=1), "": features}[kind]


def depth_and_names(model):
    """How many feature maps a model offers, and what its module for each is called."""
    kind = "blocks" if hasattr(model, "blocks") else "stages"
    return len(getattr(model, kind)), kind


def features_shape(model, h, w):
    """The shape of the features of a batch of two, for a map of h x w tokens before the head."""
    p, width = model.num_prefix_tokens, model.num_features
    is_grid = not hasattr(model, "blocks") and p == 0
    return (2, h, w, width) if is_grid else (2, p + h * w, width)


def unpooled(model, height, width):
    """Rows and columns that timm expects in front of the pooling, and the form of the features; it knows no size of sequences."""
    is_column = hasattr(model, "blocks")
    sides = None if is_column else map_sides(model, height, width)
    return sides, "NLC" if is_column or model.num_prefix_tokens else "NHWC"


def map_sides(model, height, width):
    """Rows and columns of the last map of an image whose sides the strides divide."""
    reduction = model.feature_info[-1]["reduction"]
    return height // reduction, width // reduction


def dead(name, key):
    """Whether the parameter has no influence by construction: the last locality feed-forward, where a class token is read."""
    last = {"pvt": "stages.3.blocks.1", "t2t": "blocks.6", "tnt": "blocks.11"}
    host = next((host for host in last if f"localvit_{host}" in name), None)
    block = last[host] if host else "blocks.11"
    return name.startswith("localvit") and "swin" not in name and key.startswith(f"{block}.feed_forward.")


def idle(name, key):
    """Whether nothing uses the parameter: the public code of LocalViT on T2T has two such norms, the plain name does without."""
    return name == "localvit_t2t_compat" and key.startswith("stem.layers.") and ".feed_forward_norm." in key


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
    unused = {key for key, gradient in gradients.items() if gradient is None}
    # The public code of LocalViT on T2T has two norms that nothing uses; the plain name does without them.
    idle = name == "localvit_t2t_compat"
    assert unused == {
        key for key in gradients if idle and key.startswith("stem.layers.") and "feed_forward_norm" in key
    }
    assert all(gradients[key].isfinite().all() for key in gradients.keys() - unused)
    still = {key for key in gradients.keys() - unused if not gradients[key].any()}
    assert still == {key for key in gradients if dead(name, key)}


@every_model
def test_the_default_configuration_tells_the_truth(name):
    model = timm.create_model(name)
    cfg, state = model.default_cfg, model.state_dict()
    assert cfg is model.pretrained_cfg
    assert cfg["architecture"] == name
    size = (3, 384, 384) if name.endswith("_384") else (3, 224, 224)
    assert cfg["input_size"] == size
    places = cfg["classifier"] if isinstance(cfg["classifier"], tuple) else (cfg["classifier"],)
    for head, place in zip(heads_of(model), places, strict=True):
        assert cfg["num_classes"] == model.num_classes == len(state[f"{place}.weight"])
        assert model.num_features == model.head_hidden_size == head.in_features > 0
        assert head is model.get_submodule(place)
    assert cfg["input_size"][0] == model.in_chans
    if "t2t" in name:
        assert cfg["first_conv"] == (), "the stem concatenates pixels"
    else:
        assert state[f"{cfg['first_conv']}.weight"].shape[1] == model.in_chans
    assert (cfg["pool_size"], model.output_fmt) == unpooled(model, *size[1:])
    data = resolve_data_config(model=model)
    assert (data["input_size"], data["interpolation"], data["mean"]) == (
        size,
        "bicubic",
        (0.485, 0.456, 0.406),
    )


@every_model
def test_the_head_can_be_taken_off_and_put_back(name):
    model = timm.create_model(name).eval()
    image = images()
    features = model.forward_features(image)
    assert features.shape == features_shape(model, *map_sides(model, 64, 64))
    usual = model.global_pool
    read = model.forward_head(features, pre_logits=True)
    torch.testing.assert_close(read, pooled(model, features, usual))

    model.reset_classifier(0)
    assert model.num_classes == 0
    assert model(image).equal(read)
    model.reset_classifier(0, "")
    assert model(image).equal(features)
    model.reset_classifier(7, "avg")
    assert model(image).shape == (2, 7)
    torch.testing.assert_close(model.forward_head(features, pre_logits=True), pooled(model, features, "avg"))


@every_model
def test_the_unpooled_features_have_the_form_and_the_size_of_the_default_configuration(name):
    model = made_on_meta(name).eval()
    image = torch.zeros(1, *model.default_cfg["input_size"], device="meta")
    features = model.forward_features(image)
    if model.output_fmt == "NHWC":
        assert features.shape == (1, *model.default_cfg["pool_size"], model.num_features)
    else:
        assert features.shape == (1, features.shape[1], model.num_features)
    for bare in (made_on_meta(name, num_classes=0, global_pool=""), model):
        bare.reset_classifier(0, "")
        assert bare.eval()(image).shape == features.shape


@every_model
def test_a_fresh_head_has_the_models_precision_and_initial_weights(name):
    model = timm.create_model(name, dtype=torch.float64)
    model.reset_classifier(500)
    for head in heads_of(model):
        assert head.weight.dtype == head.bias.dtype == torch.float64
        assert head.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert not head.bias.any()


@smallest
def test_the_constructor_chooses_classes_pooling_and_channels(name):
    image = images()
    model = seeded(name).eval()
    features = model.forward_features(image)
    usual = model.global_pool
    torch.testing.assert_close(seeded(name, num_classes=0).eval()(image), pooled(model, features, usual))
    for kind in model.pools:
        chosen = seeded(name, num_classes=0, global_pool=kind).eval()
        torch.testing.assert_close(chosen(image), pooled(model, features, kind))
    every = seeded(name, num_classes=7, global_pool="").eval()(image)
    assert every.shape == (*features.shape[:-1], 7)
    grey = timm.create_model(name, num_classes=7, in_chans=1).eval()
    assert grey(images(channels=1)).shape == (2, 7)
    assert get_model_input_config(grey)["input_size"] == (1, 224, 224)


@smallest
def test_an_unknown_pooling_is_refused_and_changes_nothing(name):
    model = timm.create_model(name)
    usual, pools = model.global_pool, ", ".join(map(repr, model.pools))
    message = f"(Column|Pyramid): global_pool must be one of {pools} here, got global_pool='max'."
    with pytest.raises(ValueError, match=message):
        timm.create_model(name, global_pool="max")
    with pytest.raises(ValueError, match=message):
        model.reset_classifier(3, "max")
    assert (model.num_classes, model.global_pool) == (1000, usual)


@every_model
@pytest.mark.parametrize("chosen", ["default", "first and last"])
def test_feature_maps_are_what_feature_info_says(name, chosen):
    whole = seeded(name).eval()
    count, kind = depth_and_names(whole)
    default = list(range(count))[-3:] if kind == "blocks" else list(range(count))
    arguments, indices = ({}, default) if chosen == "default" else ({"out_indices": (0, -1)}, [0, count - 1])
    backbone = seeded(name, features_only=True, **arguments).eval()
    image = images(64, 96)
    maps = backbone(image)
    info = backbone.feature_info
    assert [tuple(m.shape) for m in maps] == [
        (2, width, 64 // reduction, 96 // reduction)
        for width, reduction in zip(info.channels(), info.reduction(), strict=True)
    ]
    assert info.module_name() == [f"{kind}.{index}" for index in indices]
    if kind == "stages" and chosen == "default":
        assert info.reduction() == [4, 8, 16, 32]
    outputs = {}
    for index in indices:
        level = whole.get_submodule(f"{kind}.{index}")
        level.register_forward_hook(lambda _, __, output, index=index: outputs.update({index: output}))
    whole(image)
    for index, feature_map in zip(indices, maps, strict=True):
        grid = next(part for part in outputs[index] if part is not None and part.ndim == 4)
        assert feature_map.equal(grid.permute(0, 3, 1, 2))


@every_model
def test_the_intermediates_end_in_forward_features(name):
    model = timm.create_model(name).eval()
    image = images(64, 96)
    final, maps = model.forward_intermediates(image)
    assert final.equal(model.forward_features(image))
    assert [tuple(m.shape) for m in maps] == [
        (2, info["num_chs"], 64 // info["reduction"], 96 // info["reduction"]) for info in model.feature_info
    ]
    _, normalised = model.forward_intermediates(image, indices=1, norm=True)
    tokens = final.flatten(1, -2)[:, model.num_prefix_tokens :]
    torch.testing.assert_close(normalised[0].flatten(2).transpose(1, 2), tokens)


@every_model
def test_the_intermediates_come_in_the_form_asked_for(name):
    model = timm.create_model(name).eval()
    kind = depth_and_names(model)[1]
    image, other = images(64, 96), "NLC" if kind == "blocks" else "NHWC"
    _, maps = model.forward_intermediates(image, indices=[1, -2])
    alone = model.forward_intermediates(image, indices=[1, -2], intermediates_only=True)
    rearranged = model.forward_intermediates(image, indices=[1, -2], intermediates_only=True, output_fmt=other)
    assert len(maps) == len(alone) == len(rearranged) == 2
    for grid, again, channels_last in zip(maps, alone, rearranged, strict=True):
        assert again.equal(grid)
        assert channels_last.flatten(1, -2).equal(grid.flatten(2).transpose(1, 2))
    with pytest.raises(ValueError, match=f"output_fmt must be NCHW or {other}, got output_fmt='CHWN'"):
        model.forward_intermediates(image, output_fmt="CHWN")


@columns
def test_prefix_tokens_and_norm_go_together_in_the_intermediates(name):
    model = timm.create_model(name).eval()
    image = images()
    final, [(grid, prefix)] = model.forward_intermediates(
        image, indices=1, return_prefix_tokens=True, norm=True, output_fmt="NLC"
    )
    torch.testing.assert_close(torch.cat((prefix, grid), dim=1), final)


@smallest
def test_each_map_is_paired_with_its_prefix_tokens_where_there_are_any(name):
    model = timm.create_model(name).eval()
    arguments = {"indices": [0, -1], "intermediates_only": True}
    maps = model.forward_intermediates(images(), **arguments)
    found = model.forward_intermediates(images(), **arguments, return_prefix_tokens=True)
    p = model.num_prefix_tokens
    if p == 0:
        assert [one.shape for one in found] == [one.shape for one in maps]
    else:
        assert [(grid.shape, prefix.shape) for grid, prefix in found] == [
            (one.shape, (2, p, one.shape[1])) for one in maps
        ]
        assert found[-1][1].any()


@smallest
def test_stopping_early_leaves_the_later_levels_out(name):
    model = timm.create_model(name).eval()
    image = images()
    count, kind = depth_and_names(model)
    ran = []
    for index, level in enumerate(getattr(model, kind)):
        level.register_forward_hook(lambda *_, index=index: ran.append(index))
    _, maps = model.forward_intermediates(image, indices=[0, count - 2], stop_early=True)
    assert ran == list(range(count - 1))
    _, whole = model.forward_intermediates(image, indices=[0, count - 2])
    assert all(early.equal(late) for early, late in zip(maps, whole, strict=True))


@every_model
def test_pruning_keeps_what_the_chosen_features_need(name):
    model = timm.create_model(name).eval()
    image = images()
    count, kind = depth_and_names(model)
    before = model.forward_intermediates(image, indices=[0, -2], intermediates_only=True)
    assert model.prune_intermediate_layers([0, -2], prune_norm=True) == [0, count - 2]
    assert len(getattr(model, kind)) == count - 1
    assert not list(model.norm.parameters())
    assert not [parameter for head in heads_of(model) for parameter in head.parameters()]
    after = model.forward_intermediates(image, indices=[0, count - 2], intermediates_only=True)
    assert all(a.equal(b) for a, b in zip(after, before, strict=True))


@smallest
def test_pruning_leaves_norm_and_head_on_request(name):
    model = timm.create_model(name, num_classes=5).eval()
    model.prune_intermediate_layers(depth_and_names(model)[0], prune_head=False)
    assert model(images()).shape == (2, 5)


@every_model
@pytest.mark.parametrize("coarse", [False, True])
def test_every_parameter_falls_into_the_group_of_its_depth(name, coarse):
    model = made_on_meta(name)
    groups = group_parameters(model, model.group_matcher(coarse))
    assert sorted(key for group in groups.values() for key in group) == sorted(dict(model.named_parameters()))
    level_of = {key: depth for depth, group in groups.items() for key in group}
    heads = {key for key in level_of if key.startswith(("head.", "distillation_head."))}
    assert {level_of[key] for key in heads} == {max(groups)}, "the head is the last group"
    levels = [{level_of[key] for key in level_of if key.startswith(names)} for names in level_names(model)]
    assert all(max(below) < min(above) for below, above in itertools.pairwise(levels)), (
        "a level is above the one before"
    )
    assert max(levels[-1]) < max(groups)
    others = ("head.", "distillation_head.", "norm.", *itertools.chain(*level_names(model)))
    assert {level_of[key] for key in level_of if not key.startswith(others)} <= {min(groups)}, "the stem is the first"


def level_names(model):
    """How the names of each level's parameters begin: the stages of a pyramid, the blocks of a column."""
    count, kind = depth_and_names(model)
    return [(f"{kind}.{i}.", f"inner.{i}.") for i in range(count)]


@every_model
def test_layer_decay_slows_the_lower_layers_down(name):
    model = made_on_meta(name)
    groups = param_groups_layer_decay(model, layer_decay=0.5, no_weight_decay_list=model.no_weight_decay())
    scale = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    assert len(scale) == len(list(model.parameters()))
    levels = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    for key, parameter in model.named_parameters():
        assert scale[id(parameter)] == 0.5 ** (max(levels.values()) - levels[key]), key


@every_model
def test_tokens_positions_norms_and_biases_take_no_weight_decay(name):
    model = timm.create_model(name)
    exempt = model.no_weight_decay()
    tables = [key for key, module in model.named_modules() if isinstance(module, AbsolutePosition)]
    # The public code of PVT lets its position tables decay.
    decaying = {f"{key}.table" for key in tables if "pvt" in name and "pvtv2" not in name}
    by_hand = {key for key, _ in model.named_parameters() if key.rpartition(".")[2] in NO_DECAY}
    assert exempt == by_hand - decaying
    optimizer = create_optimizer_v2(model, opt="adamw", weight_decay=0.05)
    decayed = {
        id(parameter) for group in optimizer.param_groups if group["weight_decay"] for parameter in group["params"]
    }
    for key, parameter in model.named_parameters():
        assert (id(parameter) in decayed) == (parameter.ndim > 1 and key not in exempt), key


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
        gradients = [parameter.grad for key, parameter in model.named_parameters() if not idle(name, key)]
        results.append([logits, *gradients, *model.buffers()])
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
    assert not [key for key, parameter in graph.named_parameters() if parameter.grad is None and not idle(name, key)]


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


@public
def test_public_weights_load_under_pretrained(name, public_file):
    record = model_record(*PUBLIC[name])
    model = timm.create_model(name, **public_file(name)).eval()
    with torch.no_grad():
        logits = model(goldenfill.record_input(record))
    assert goldenfill.compare(logits, record["logits"])["max_rel"] < 1e-4


@public
@pytest.mark.parametrize("num_classes", [5, 0])
def test_public_weights_load_for_other_classes_and_channels(name, num_classes, public_file):
    plain = timm.create_model(name, **public_file(name)).state_dict()
    adapted = timm.create_model(name, num_classes=num_classes, in_chans=1, **public_file(name)).state_dict()
    assert {key for key in plain if key not in adapted} == (set() if num_classes else {"head.weight", "head.bias"})
    stem = f"{timm.create_model(name, device='meta').default_cfg['first_conv']}.weight"
    torch.testing.assert_close(adapted[stem], plain[stem].sum(dim=1, keepdim=True))
    for key, value in adapted.items():
        assert key == stem or key.startswith("head.") or value.equal(plain[key]), key


@public
def test_public_weights_load_into_a_backbone(name, public_file):
    image = images()
    backbone = timm.create_model(name, features_only=True, **public_file(name)).eval()
    model = timm.create_model(name, **public_file(name)).eval()
    indices = backbone.feature_info.out_indices
    expected = model.forward_intermediates(image, indices=list(indices), intermediates_only=True)
    assert all(ours.equal(theirs) for ours, theirs in zip(backbone(image), expected, strict=True))


def test_weights_of_another_architecture_are_refused(public_file):
    with pytest.raises(ValueError, match=r"blocks\.\*\.mlp\.fc1\.weight, 12 tensors, shape \(768, 192\), left over"):
        timm.create_model("localvit_tiny", **public_file("deit_tiny"))


@pytest.mark.parametrize("name", ["deit_tiny", "deit_tiny_distilled", "tnt_tiny", "pvt_tiny", "swin_tiny", "msg_tiny"])
@pytest.mark.parametrize("form", [False, True], ids=["pickle", "safetensors"])
def test_a_saved_folder_gives_the_model_back(name, form, tmp_path):
    part = {"mixer": {"drop_path_scale": 0.5}}
    model = timm.create_model(name, num_classes=7, in_chans=4, img_size=(64, 96), stage2=part).eval()
    model.reset_classifier(3, "avg")
    save_for_hf(model, tmp_path, safe_serialization=form, data_config={"mean": (0.5,) * 4, "std": (0.5,) * 4})
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architecture"], config["num_classes"], config["global_pool"]) == (name, 3, "avg")
    assert get_model_input_config(model)["input_size"] == (4, 64, 96)

    image = images(64, 96, channels=4)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert again(image).equal(model(image))
    assert repr(again) == repr(model)
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


@every_model
def test_torch_counts_operations_without_gradients(name):
    model = made_on_meta(name).eval()
    _, height, width = model.default_cfg["input_size"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, height, width, device="meta"))
    assert model.macs(height, width) == counter.get_total_flops() / 2


@every_model
def test_the_stated_cost_is_what_a_counter_sees(name):
    model = made_on_meta(name).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 64, 96, device="meta"))
    assert model.macs(64, 96) == counter.get_total_flops() / 2

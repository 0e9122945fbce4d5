import pytest
import timm
import torch
import torchvision

import vitmodels  # noqa: F401 (registers the models)
from vittasks import ParameterGroups, Segmentation, weight_decay_groups


def small(name="localvit_tiny", **arguments):
    with torch.device("meta"):
        return timm.create_model(name, **arguments)


def undecayed(model, rules=None, listed=()):
    groups = (rules or ParameterGroups()).split(model, listed, "")
    free = {id(p) for group in groups if group.get("weight_decay") == 0.0 for p in group["params"]}
    return {name for name, p in model.named_parameters() if id(p) in free}


def rates(model, rules, backbone=""):
    found = {id(p): group.get("lr_scale", 1.0) for group in rules.split(model, (), backbone) for p in group["params"]}
    return {name: found[id(p)] for name, p in model.named_parameters()}


def test_biases_norms_position_tables_and_class_tokens_are_not_decayed():
    model = small()
    free = undecayed(model, listed=model.no_weight_decay())
    assert {
        "prefix",
        "position.table",
        "blocks.0.mixer.norm.weight",
        "blocks.0.feed_forward.op.expand.1.weight",
    } <= free
    assert all(name in free for name, _ in model.named_parameters() if name.endswith("bias"))


def test_every_matrix_and_kernel_is_decayed():
    model = small()
    decayed = {name for name, _ in model.named_parameters()} - undecayed(model, listed=model.no_weight_decay())
    assert decayed == {
        name for name, p in model.named_parameters() if p.ndim > 1 and name not in ("prefix", "position.table")
    }


def test_in_swins_dense_recipes_layer_norms_and_listed_tables_alone_are_not_decayed():
    model = small("localvit_swin_tiny")
    free = undecayed(model, ParameterGroups(undecayed="layer_norms"), model.no_weight_decay())
    assert model.no_weight_decay() < free
    assert {"norm.weight", "norm.bias"} <= free
    assert not {name for name in free if ".qkv." in name}
    decayed = {name for name, _ in model.named_parameters()} - free
    norms = {name for name, part in model.named_modules() if isinstance(part, torch.nn.BatchNorm2d)}
    assert norms
    assert {f"{name}.weight" for name in norms} <= decayed


def test_everything_may_be_decayed():
    model = small()
    assert undecayed(model, ParameterGroups(undecayed="nothing"), model.no_weight_decay()) == set()


def test_each_trainable_parameter_is_in_one_group_and_frozen_ones_in_none():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 5))
    model[1].weight.requires_grad_(False)
    grouped = [p for group in weight_decay_groups(model) for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == 3


def test_an_empty_group_is_left_out():
    assert len(weight_decay_groups(torch.nn.Linear(3, 4, bias=False))) == 1


def test_in_a_column_each_block_learns_slower_than_the_one_behind_it():
    found = rates(small("deit_tiny"), ParameterGroups(layer_decay=0.5))
    assert found["head.weight"] == 1
    assert found["norm.weight"] == found["blocks.11.mixer.norm.weight"] == 0.5
    assert found["blocks.0.mixer.norm.weight"] == 0.5**12
    assert found["stem.projection.weight"] == found["prefix"] == found["position.table"] == 0.5**13


def test_in_a_pyramid_blocks_count_through_all_stages():
    found = rates(small("pvt_tiny"), ParameterGroups(layer_decay=0.5))
    assert found["head.weight"] == 1
    assert found["stages.3.blocks.1.mixer.norm.weight"] == 0.5
    blocks = [found[f"stages.{stage}.blocks.{block}.mixer.norm.weight"] for stage in range(4) for block in range(2)]
    assert blocks == sorted(blocks)
    assert len(set(blocks)) == 8
    assert found["stages.0.downsample.projection.weight"] == min(found.values()) < blocks[0]


def test_the_head_of_a_dense_task_keeps_the_rate_that_its_backbone_does_not_have():
    with torch.device("meta"):
        task = Segmentation(timm.create_model("pvtv2_b0"), 10, groups=ParameterGroups(layer_decay=0.5, backbone_lr=0.1))
    found = rates(task, task.groups, task.backbone_path)
    assert {rate for name, rate in found.items() if not name.startswith("backbone.")} == {1.0}
    assert max(rate for name, rate in found.items() if name.startswith("backbone.")) == pytest.approx(0.05)


def test_the_backbone_of_any_package_may_learn_slower_than_its_classifier():
    with torch.device("meta"):
        model = torchvision.models.resnet18(num_classes=3)
    found = rates(model, ParameterGroups(backbone_lr=0.1))
    assert {name for name, rate in found.items() if rate == 1} == {"fc.weight", "fc.bias"}
    assert found["conv1.weight"] == 0.1


def test_a_backbone_that_does_not_tell_its_layers_is_refused():
    with torch.device("meta"):
        model = torchvision.models.resnet18(num_classes=3)
    with pytest.raises(ValueError, match=r"layer_decay is 0\.8, but ResNet has no group_matcher"):
        rates(model, ParameterGroups(layer_decay=0.8))


@pytest.mark.parametrize("wrong", [{"layer_decay": 0.0}, {"layer_decay": 1.5}, {"backbone_lr": 0.0}])
def test_factors_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"layer_decay lies in \(0, 1\] and backbone_lr is positive"):
        ParameterGroups(**wrong)

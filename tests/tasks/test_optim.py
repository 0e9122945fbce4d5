import timm
import torch

import vitmodels  # noqa: F401 (registers the models)
from vittasks import weight_decay_groups


def names_without_decay(model):
    groups = weight_decay_groups(model, model.no_weight_decay())
    undecayed = {id(p) for group in groups if group.get("weight_decay") == 0.0 for p in group["params"]}
    return {name for name, p in model.named_parameters() if id(p) in undecayed}


def test_biases_norms_position_tables_and_class_tokens_are_not_decayed():
    model = timm.create_model("localvit_tiny", img_size=32, width=48, depth=3)
    free = names_without_decay(model)
    assert {
        "prefix",
        "position.table",
        "blocks.0.mixer.norm.weight",
        "blocks.0.feed_forward.op.expand.1.weight",
    } <= free
    assert all(name in free for name, _ in model.named_parameters() if name.endswith("bias"))


def test_every_matrix_and_kernel_is_decayed():
    model = timm.create_model("localvit_tiny", img_size=32, width=48, depth=3)
    decayed = {name for name, _ in model.named_parameters()} - names_without_decay(model)
    assert decayed == {
        name for name, p in model.named_parameters() if p.ndim > 1 and name not in ("prefix", "position.table")
    }


def test_each_trainable_parameter_is_in_one_group_and_frozen_ones_in_none():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 5))
    model[1].weight.requires_grad_(False)
    grouped = [p for group in weight_decay_groups(model) for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == 3


def test_an_empty_group_is_left_out():
    assert len(weight_decay_groups(torch.nn.Linear(3, 4, bias=False))) == 1

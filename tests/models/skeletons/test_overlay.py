"""YAML and ``timm.create_model`` accept the same arguments, and give the same model or the same error."""

import copy

import pytest
import timm
import torch
from torch import nn

import vitcore
import vitmodels
from vitcli.config.errors import ConfigError
from vitcli.config.lightning_cli import schema
from vitcli.config.origin import _print_once
from vitcli.config.overlay import lay_over
from vitmodels import BlockSpec, Branch, part
from vitmodels.skeletons.entries import Entry, Origin
from vitmodels.skeletons.overlay import Overlay

LOCALITY = part("vitcore.LocalityFeedForward", ratio=4.0, channel_attention=part("vitcore.SqueezeExcite", reduction=8))
COLUMN = {"img_size": 32, "depth": 3, "num_classes": 5}
PYRAMID = {"img_size": 32, "num_classes": 5}

# Name -> model, a change of it, and another way to write the same change.
SWAPS = {
    "a class by its earlier deep path": (
        "localvit_tiny",
        {"stage1": {"feed_forward": {"op": {"class_path": "vitcore.locality.LocalityFeedForward"}}}},
        {},
    ),
    "a class by its deep path": (
        "localvit_tiny",
        {"stage1.feed_forward.op": "vitcore.feed_forward.locality_feed_forward.LocalityFeedForward"},
        {},
    ),
    "the same class again": ("localvit_tiny", {"stage1": {"feed_forward": {"op": "vitcore.LocalityFeedForward"}}}, {}),
    "another class as text": (
        "localvit_tiny",
        {"stage1": {"feed_forward": {"op": "vitcore.Mlp"}}},
        {"stage1": {"feed_forward": {"op": {"class_path": "vitcore.Mlp", "init_args": {}}}}},
    ),
    "arguments beside the class": (
        "localvit_tiny",
        {"stage2": {"feed_forward": {"op": {"class_path": "vitcore.Mlp", "ratio": 2.0}}}},
        {"stage2": {"feed_forward": {"op": part("vitcore.Mlp", ratio=2.0)}}},
    ),
    "every stage": (
        "localvit_tiny",
        {"every": {"feed_forward": {"op": {"ratio": 2.0}}}},
        {f"stage{i}": {"feed_forward": {"op": {"init_args": {"ratio": 2.0}}}} for i in (1, 2, 3)},
    ),
    "a dotted key": (
        "localvit_tiny",
        {"every.feed_forward.op.channel_attention.reduction": 96},
        {
            f"stage{i}": {
                "feed_forward": {"op": {"init_args": {"channel_attention": {"init_args": {"reduction": 96}}}}}
            }
            for i in (1, 2, 3)
        },
    ),
    "a dotted key inside": (
        "localvit_tiny",
        {"stage3": {"feed_forward.op": {"channel_attention.class_path": "torch.nn.Identity"}}},
        {"stage3.feed_forward.op.channel_attention": "torch.nn.Identity"},
    ),
    "the stem": ("deit_tiny", {"stem": {"patch_size": 8}}, {"stem": {"init_args": {"patch_size": 8}}}),
    "both kinds of block": (
        "swin_tiny",
        {"stage1.mixer.op": {"class_path": "vitcore.SlideAttention", "head_dim": 32}},
        {
            "stage1.mixer.op": part("vitcore.SlideAttention", head_dim=32),
            "stage1.alternate.mixer.op": part("vitcore.SlideAttention", head_dim=32),
        },
    ),
    "pixel tokens": (
        "tnt_tiny",
        {"inner": {"feed_forward": {"ratio": 2.0}}},
        {"inner.feed_forward": part("vitcore.Mlp", ratio=2.0)},
    ),
}
every_swap = pytest.mark.parametrize("name", SWAPS)

REFUSED = {
    "an unknown argument of the model": ({"drop_pth_rate": 0.1}, "did you mean drop_path_rate?"),
    "an unknown slot": ({"stage1": {"mixr": {}}}, "did you mean mixer?"),
    "an unknown argument of a part": (
        {"stage1.feed_forward.op.activaton": "torch.nn.GELU"},
        "did you mean activation?",
    ),
    "an unknown class": ({"stage1.mixer.op": "vitcore.GlobalAtention"}, "did you mean vitcore.GlobalAttention?"),
    "a bare name": ({"stage1.mixer.op": "GlobalAttention"}, "did you mean vitcore.GlobalAttention?"),
    "a module that is not there": ({"stem": "vitcoer.PatchEmbedding"}, "did you mean vitcore.PatchEmbedding?"),
    "a class of another kind": ({"stage1.mixer.op": "torch.nn.GELU"}, "which makes no vitcore.FeatureOp"),
    "a class path that is no text": ({"stage1.mixer.op": {"class_path": 3}}, "has class_path 3"),
    "init_args that are no mapping": (
        {"norm": {"class_path": "torch.nn.LayerNorm", "init_args": 3}},
        "has init_args 3",
    ),
    "a misspelt init_args": ({"norm": {"class_path": "torch.nn.LayerNorm", "init_arg": {}}}, "has no entry 'init_arg'"),
    "a number for a part": ({"stage1.mixer.op": 3}, "expected the import path of a class of vitcore.FeatureOp"),
    "nothing for a part": ({"stage1": {"mixer": {"op": None}}}, "is null; expected a class."),
    "a number for a stage": ({"stage1": 3}, "expected keys and values, such as stage1.position."),
    "a key below a number": ({"depth.more": 3}, "goes through depth, which is 12 and has no entries."),
    "an addition to no list": ({"depth+": 3}, "which is not a list; leave out the +."),
}


def by_timm(model, changes):
    with torch.device("meta"):
        return timm.create_model(model, **(COLUMN if "swin" not in model else PYRAMID) | copy.deepcopy(changes))


def by_yaml(model, changes):
    size = COLUMN if "swin" not in model else PYRAMID
    config = {}
    backbone = {"class_path": f"vitmodels.{model}", "init_args": size | copy.deepcopy(changes)}
    lay_over(config, schema(), {"model": {"class_path": "vittasks.Classification", "backbone": backbone}}, "here")
    with torch.device("meta"):
        return getattr(vitmodels, model)(**config["model"]["init_args"]["backbone"]["init_args"])


def weights(model):
    return {name: value.shape for name, value in model.state_dict().items()}


def laid(data, change):
    """Lay the change of a branch over its data."""
    block = {"mixer": copy.deepcopy(data)}
    Overlay().lay(block, {"mixer": Entry(Branch)}, {"mixer": change}, Origin("here", ""))
    return block["mixer"]


@every_swap
def test_yaml_and_timm_build_the_same_model_from_the_same_words(name):
    model, change, plain = SWAPS[name]
    expected = weights(by_timm(model, plain))
    assert weights(by_timm(model, change)) == weights(by_yaml(model, change)) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_yaml_and_timm_refuse_the_same_words_with_the_same_sentence(name):
    changes, reason = REFUSED[name]
    with pytest.raises(ValueError) as by_hand:
        timm.create_model("deit_tiny", **copy.deepcopy(changes))
    with pytest.raises(ConfigError) as written:
        lay_over({"backbone": None}, {"backbone": Entry(nn.Module)}, backbone(changes), "deit_tiny")
    assert reason in str(by_hand.value)
    assert str(by_hand.value).startswith("deit_tiny: ")
    assert without_prefix(str(written.value)) == str(by_hand.value)


def backbone(changes):
    return {"backbone": {"class_path": "vitmodels.deit_tiny", **copy.deepcopy(changes)}}


def without_prefix(sentence):
    """Return what YAML says without the key that leads to the model; Python starts at the model."""
    return sentence.replace("backbone.", "").replace(" in backbone;", ";")


def test_a_deep_path_of_the_same_class_keeps_the_preset_s_arguments():
    deep = {"stage1": {"feed_forward": {"op": {"class_path": "vitcore.locality.LocalityFeedForward"}}}}
    with torch.device("meta"):
        model = timm.create_model("localvit_tiny", **deep)
    assert sum(parameter.numel() for parameter in model.parameters()) == 5_908_696


def test_the_earlier_name_of_a_slot_is_accepted_by_yaml_and_timm_with_one_notice(capsys):
    new, old = ({f"stage1.{slot}.op": "vitcore.ConditionalPosition"} for slot in ("content_mixer", "content"))
    expected = weights(by_timm("swin_tiny", new))
    _print_once.cache_clear()
    for _ in range(2):
        assert weights(by_yaml("swin_tiny", old)) == expected
    notice = "The key content is called content_mixer now; write content_mixer. The old name still works.\n"
    assert capsys.readouterr().err == notice
    with pytest.warns(FutureWarning, match=r"The key content is called content_mixer now"):
        assert weights(by_timm("swin_tiny", old)) == expected


def test_the_weights_of_the_slot_keep_the_names_under_which_they_were_saved():
    names = weights(by_timm("swin_tiny", {"stage1.content_mixer.op": "vitcore.ConditionalPosition"}))
    assert "stages.0.blocks.0.content.op.convolution.weight" in names


def test_objects_are_taken_as_they_are():
    assert laid({"op": LOCALITY}, {"op": vitcore.Mlp})["op"] is vitcore.Mlp
    branch = Branch(op=vitcore.Mlp)
    assert laid({"op": LOCALITY}, branch) == branch
    model = by_timm("deit_tiny", {"stage1": BlockSpec(mixer=branch), "norm": lambda width: nn.Identity()})
    assert isinstance(model.blocks[0].mixer.op, vitcore.Mlp)
    assert isinstance(model.norm, nn.Identity)


def test_a_leaf_is_laid_over_a_part_and_the_rest_stays():
    assert laid({"op": LOCALITY}, {"op": {"init_args": {"ratio": 2.0}}}) == {
        "op": part("vitcore.LocalityFeedForward", **(LOCALITY["init_args"] | {"ratio": 2.0}))
    }


@pytest.mark.parametrize("mlp", ["vitcore.Mlp", {"class_path": "vitcore.Mlp"}, part("vitcore.Mlp")])
def test_another_class_replaces_a_part_whole(mlp):
    branch = laid({"op": LOCALITY, "drop_path_scale": 0.0}, {"op": mlp})
    assert branch == {"op": part("vitcore.Mlp"), "drop_path_scale": 0.0}


def test_laying_over_changes_neither_the_preset_nor_the_change():
    change = {"every": {"feed_forward": {"op": {"init_args": {"channel_attention": "torch.nn.Identity"}}}}}
    before = copy.deepcopy(change), weights(by_timm("localvit_tiny", {}))
    with torch.device("meta"):
        timm.create_model("localvit_tiny", **change)
    assert (change, weights(by_timm("localvit_tiny", {}))) == before

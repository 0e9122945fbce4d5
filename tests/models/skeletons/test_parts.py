"""A model's parts as data: written down, walked, built, and refused with a sentence that names what is wrong."""

import copy

import pytest
import timm
import torch
from torch import nn

import vitcore
from vitmodels import BlockSpec, Branch, part
from vitmodels.skeletons.parts import build_block, build_part, import_object, walk

LOCALITY = part("vitcore.LocalityFeedForward", ratio=4.0, channel_attention=part("vitcore.SqueezeExcite", reduction=8))


def module_tree(model):
    """Every module with its type and settings; containers by their type alone."""
    return {
        name: (type(module), module.extra_repr(), getattr(module, "drop_path_rate", None))
        for name, module in model.named_modules()
    }


def changed_modules(name, **change):
    """Names of the modules that differ between a preset and the preset with ``change``."""
    plain, other = (
        module_tree(timm.create_model(name, device="meta", **arguments)) for arguments in ({}, copy.deepcopy(change))
    )
    return {key for key in plain.keys() | other.keys() if plain.get(key) != other.get(key)}


def test_the_names_on_the_way_to_a_value_are_text():
    assert list(walk({"config": {"id2label": {0: "cat", 1: "dog"}}})) == [
        (("config", "id2label", "0"), "cat"),
        (("config", "id2label", "1"), "dog"),
    ]


def test_a_part_becomes_a_factory_that_needs_only_the_width():
    op = build_part(LOCALITY)(16)
    assert isinstance(op, vitcore.LocalityFeedForward)
    assert op.channel_attention.squeeze.out_features == 64 // 8
    assert isinstance(op.expand[2], nn.Hardswish)
    assert isinstance(build_part("vitcore.Mlp")(16), vitcore.Mlp)
    assert build_part(vitcore.Mlp) is vitcore.Mlp


def test_the_parts_inside_a_part_are_made_anew_for_each_block():
    factory = build_part(LOCALITY)
    assert factory(16).channel_attention is not factory(16).channel_attention


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("vitcore.Mpl", "module 'vitcore' has no attribute 'Mpl'"),
        ("vitcoer.Mlp", "No module named 'vitcoer'"),
        ("Mlp", "Empty module name"),
        ("..Mlp", "package"),
    ],
)
def test_an_import_path_that_leads_nowhere_is_named(path, reason):
    with pytest.raises(ValueError, match=rf"class_path='{path}' cannot be imported: .*{reason}"):
        import_object(path)


def test_a_wrong_import_path_inside_a_part_is_named_before_anything_is_built():
    wrong = part("vitcore.LocalityFeedForward", activation="torch.nn.ReLU66")
    with pytest.raises(ValueError, match=r"class_path='torch.nn.ReLU66' cannot be imported"):
        build_part(wrong)
    with pytest.raises(ValueError, match=r"activation is 'torch.nn.ReLU66', which cannot be imported"):
        timm.create_model("localvit_tiny", stage2={"feed_forward": {"op": wrong}})


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("vitcore.locality.LocalityFeedForward", "vitcore.LocalityFeedForward"),
        ("vitcore.feed_forward.locality_feed_forward.LocalityFeedForward", "vitcore.LocalityFeedForward"),
        ("vitmodels.idle_norm.IdleLayerNorm", "vitmodels.IdleLayerNorm"),
        ("vitmodels.raster_position.RasterPosition", "vitmodels.RasterPosition"),
        ("vitmodels.skeletons.column.column", "vitmodels.column"),
        ("vitmodels.swin.swin_tiny", "vitmodels.swin_tiny"),
    ],
)
def test_any_path_to_a_public_name_means_the_public_one(path, public):
    assert import_object(path) is import_object(public)


def test_a_walk_names_every_leaf_by_its_way_without_init_args():
    data = {"op": LOCALITY, "stages": [1, 2], "empty": {}}
    assert {".".join(names): value for names, value in walk(data)} == {
        "op.class_path": "vitcore.LocalityFeedForward",
        "op.ratio": 4.0,
        "op.channel_attention.class_path": "vitcore.SqueezeExcite",
        "op.channel_attention.reduction": 8,
        "stages": [1, 2],
        "empty": {},
    }


@pytest.mark.parametrize(
    "data",
    [None, 3, {}, {"init_args": {"ratio": 2.0}}, {"class_path": "vitcore.Mlp", "init_arg": {"ratio": 2.0}}],
)
def test_a_value_that_is_not_a_part_is_refused(data):
    with pytest.raises(ValueError, match="A part is an import path or a mapping of class_path and init_args, got "):
        build_part(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"mixr": {}}, "BlockSpec has no entry 'mixr'; it has position, mixer, content_mixer, feed_forward."),
        ({"mixer": {"dropp": 0.0}}, "Branch has no entry 'dropp'; it has op, norm, drop_path_scale."),
        ({"mixer": part("vitcore.Mlp")}, "Branch has no entry 'class_path'; it has op, norm, drop_path_scale."),
        ({"mixer": "vitcore.Mlp"}, "Branch is a mapping of op, norm, drop_path_scale, got 'vitcore.Mlp'."),
        ({"mixer": None}, "Branch is a mapping of op, norm, drop_path_scale, got None."),
        (None, "BlockSpec is a mapping of position, mixer, content_mixer, feed_forward, got None."),
    ],
)
def test_a_misspelt_block_is_refused_with_the_words_it_knows(data, message):
    with pytest.raises(ValueError) as caught:
        build_block(data)
    assert str(caught.value) == message


def test_the_earlier_name_of_a_slot_still_names_it_and_is_warned_of():
    with pytest.warns(FutureWarning, match="The key content is called content_mixer now; write content_mixer."):
        block = build_block({"content": {"op": "vitcore.Mlp"}})
    assert block.content_mixer == Branch(op=vitcore.Mlp)


def test_a_block_is_the_same_from_data_and_from_dataclasses():
    branch = {"op": LOCALITY, "norm": "torch.nn.LayerNorm", "drop_path_scale": 0.5}
    for data in ({"mixer": branch}, {"mixer": Branch(**branch)}, BlockSpec(mixer=Branch(**branch))):
        built = build_block(data)
        assert isinstance(built.mixer.op(16), vitcore.LocalityFeedForward)
        assert (built.mixer.norm, built.mixer.drop_path_scale) == (nn.LayerNorm, 0.5)
        assert built.feed_forward == Branch()


@pytest.mark.parametrize(
    ("stage", "change", "leaves"),
    [
        ("stage1", {"activation": "torch.nn.ReLU6"}, ["expand.2", "middle.2"]),
        (
            "stage2",
            {"channel_attention": {"init_args": {"reduction": 96}}},
            ["channel_attention.squeeze", "channel_attention.excite"],
        ),
        (
            "stage3",
            {"channel_attention": "torch.nn.Identity"},
            ["channel_attention", *(f"channel_attention.{leaf}" for leaf in ("squeeze", "excite", "gate"))],
        ),
        ("stage1", {"kernel_size": 5}, ["middle.0"]),
    ],
)
def test_an_override_changes_its_leaf_and_nothing_else(stage, change, leaves):
    changed = changed_modules("localvit_tiny", **{stage: {"feed_forward": {"op": {"init_args": change}}}})
    first = 4 * (int(stage[-1]) - 1)
    assert changed == {f"blocks.{i}.feed_forward.op.{leaf}" for i in range(first, first + 4) for leaf in leaves}


def test_an_override_of_a_branch_leaves_the_other_branches_alone():
    changed = changed_modules("deit_tiny", stage3={"mixer": {"op": "vitcore.Nothing"}})
    assert {name.split(".")[1] for name in changed} == {"8", "9", "10", "11"}
    assert {name.split(".")[2] for name in changed} == {"mixer"}
    assert changed_modules("deit_tiny", norm={"init_args": {"eps": 1e-5}}) == {"norm"}


def test_an_override_leaves_the_preset_as_it_was():
    before = module_tree(timm.create_model("localvit_tiny", device="meta"))
    timm.create_model("localvit_tiny", device="meta", stage1={"feed_forward": {"op": {"init_args": {"ratio": 1.0}}}})
    assert module_tree(timm.create_model("localvit_tiny", device="meta")) == before


def test_parts_for_the_stem_and_position_are_laid_over_too():
    model = timm.create_model("deit_tiny", stem={"init_args": {"patch_size": 8}}, img_size=64, depth=1)
    assert model.position.grid_size == (8, 8)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)

"""Key rules follow the parts of a model: public names load where a part is swapped, moved or added in a stage."""

import re

import pytest
import timm
import torch

import vitmodels
from tests.golden_records import goldenfill, model_record
from vitmodels.presets.boat import cluster_branch
from vitmodels.presets.deit import every_stage

LOCALITY = "blocks.{}.conv.conv.{}"
ABSOLUTE = {"absolute_position": "vitcore.AbsolutePosition"}


def public(family, variant):
    """The state dict of a golden record, float32, under its public names."""
    return goldenfill.make_state_dict(model_record(family, variant))


def translated(name, state, **arguments):
    """What a public state dict is under our names, for a model with these arguments."""
    model = timm.create_model(name, **arguments)
    values = vitmodels.translate(state, vitmodels.PRESETS[name].rules, model)
    assert values.keys() == model.state_dict().keys()
    return values


def renumbered(state, numbers):
    """Layers of each locality feed-forward under other numbers; a layer that gets no number is left out."""
    renamed = {}
    for name, value in state.items():
        match = re.fullmatch(r"(blocks\.\d+\.conv\.conv\.)(\d+)(\..+)", name)
        if match is None:
            renamed[name] = value
        elif int(match[2]) in numbers:
            renamed[f"{match[1]}{numbers[int(match[2])]}{match[3]}"] = value
    return renamed


@pytest.mark.parametrize(
    ("variant", "name", "numbers"),
    [
        ("localvit_tiny_mlp4_act2_hs", "localvit_tiny_h_swish", {0: 0, 1: 1, 6: 3, 7: 4}),
        ("localvit_tiny_mlp4_act3_r192", "localvit_tiny", {0: 0, 1: 1, 6: 3, 7: 4, 8: 5}),
        ("localvit_tiny_mlp4_act4_eca", "localvit_tiny_eca", {0: 0, 1: 1, 6: 3, 7: 4, 8: 5}),
    ],
)
def test_a_locality_feed_forward_without_depthwise_convolution_loads(variant, name, numbers):
    state = public("localvit", variant)
    without = every_stage(feed_forward={"op": {"init_args": {"placement": "none"}}})
    values = translated(name, renumbered(state, numbers), **without)
    last = max(numbers)
    op = "blocks.4.feed_forward.op"
    assert values[f"{op}.contract.1.running_var"].equal(state[LOCALITY.format(4, f"{last}.running_var")])
    assert values[f"{op}.contract.0.weight"].equal(state[LOCALITY.format(4, f"{last - 1}.weight")])


def test_a_locality_feed_forward_that_convolves_first_loads():
    state = renumbered(public("localvit", "localvit_tiny_mlp4_act3_r192"), {0: 3, 1: 4, 3: 0, 4: 1, 6: 6, 7: 7, 8: 8})
    for i in range(
        12
    ):  # the public code convolves the hidden channels there; ours, and the paper's, are those of the tokens
        for number in ("0", "1"):
            for key in [key for key in state if key.startswith(LOCALITY.format(i, f"{number}."))]:
                state[key] = state[key][:192] if state[key].ndim else state[key]
    first = every_stage(feed_forward={"op": {"init_args": {"placement": "first"}}})
    values = translated("localvit_tiny", state, **first)
    op = "blocks.4.feed_forward.op"
    assert values[f"{op}.first.0.weight"].equal(state[LOCALITY.format(4, "0.weight")])
    assert values[f"{op}.expand.0.weight"].equal(state[LOCALITY.format(4, "3.weight")])
    assert values[f"{op}.channel_attention.excite.bias"].equal(state[LOCALITY.format(4, "6.fc.2.bias")])


def test_locality_in_some_layers_loads():
    plain, local = (
        public("localvit_baselines", "deit_tiny_patch16_224"),
        public("localvit", "localvit_tiny_mlp4_act2_hs"),
    )
    low = {name: value for name, value in local.items() if re.match(r"blocks\.[0-3]\.conv", name)}
    rest = {name: value for name, value in plain.items() if not re.match(r"blocks\.[0-3]\.(norm2|mlp)", name)}
    branch = {"op": "vitcore.LocalityFeedForward", "norm": "torch.nn.Identity", "drop_path_scale": 0.0}
    values = translated("deit_tiny", low | rest, stage1={"feed_forward": branch})
    assert values["blocks.3.feed_forward.op.middle.0.weight"].equal(low[LOCALITY.format(3, "3.weight")])
    assert values["blocks.4.feed_forward.op.expand.weight"].equal(plain["blocks.4.mlp.fc1.weight"])


def test_swin_with_absolute_positions_loads():
    state = public("swin", "swin_tiny_patch4_window7_224") | {"absolute_pos_embed": torch.randn(1, 56 * 56, 96)}
    values = translated("swin_tiny", state, stage1=ABSOLUTE)
    assert values["stages.0.position.table"].equal(state["absolute_pos_embed"])


def test_cluster_attention_in_a_further_stage_loads():
    state = public("boat_swin", "boat_swin_tiny_patch4_window7_224")
    names = [name for name in state if re.match(r"layers\.2\.blocks\.1\.(norm4|attnC)", name)]
    for name in names:
        value = state[name]
        wider = (
            value
            if value.shape[1:] == (1, 3, 3)
            else value.repeat(1, 2)[:, : 2 * value.shape[1]]
            if value.ndim == 2
            else value
        )
        state[name.replace("layers.2", "layers.3")] = wider.repeat(2, *([1] * (value.ndim - 1)))
    branch = cluster_branch(32, drop_path_scale=0.0)
    values = translated("boat_swin_tiny", state, stage4={"alternate": {"content_mixer": branch}})
    assert values["stages.3.blocks.1.content.norm.weight"].equal(state["layers.3.blocks.1.norm4.weight"])


@pytest.mark.parametrize(
    ("family", "variant", "name", "gone"),
    [
        ("boat_swin", "boat_swin_tiny_patch4_window7_224", "boat_swin_tiny", r"layers\.2\..*(norm4|attnC)"),
        ("boat_cswin", "BOAT_CSWin_64_12211_tiny_224", "boat_cswin_tiny", r"stage3\..*(norm3|content_attn)"),
    ],
)
def test_boat_without_cluster_attention_in_a_stage_loads(family, variant, name, gone):
    state = {key: value for key, value in public(family, variant).items() if not re.match(gone, key)}
    nothing = {"op": "vitcore.Nothing", "norm": "torch.nn.Identity"}
    translated(name, state, stage3={"content_mixer": nothing, "alternate": {"content_mixer": nothing}})


TIMM = {
    "swin_tiny_patch4_window7_224": "swin_tiny",
    "pvt_v2_b0": "pvtv2_b0",
    "tnt_s_legacy_patch16_224": "tnt_small",
    "deit_tiny_distilled_patch16_224": "deit_tiny_distilled",
}


@pytest.mark.parametrize("theirs", TIMM)
def test_the_names_of_timm_load_and_give_timms_logits(theirs):
    other = timm.create_model(theirs).eval()
    model = timm.create_model(TIMM[theirs]).eval()
    model.load_state_dict(vitmodels.translate(other.state_dict(), vitmodels.PRESETS[TIMM[theirs]].rules, model))
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(model(image), other(image), atol=1e-4, rtol=1e-4)


def test_timms_later_tnt_is_refused_by_name():
    state = timm.create_model("tnt_s_patch16_224").state_dict()
    with pytest.raises(ValueError, match="another network with TNT's names, such as timm's tnt_s_patch16_224"):
        vitmodels.translate(state, vitmodels.PRESETS["tnt_small"].rules, vitmodels.tnt_small())

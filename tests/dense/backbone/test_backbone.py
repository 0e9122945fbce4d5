"""Pyramids as dense backbones: equal to the public ones, and without the parts that only classify."""

import pytest
import timm
import torch
from torch import nn

from tests.head_records import HeadRecord, assert_output
from tests.models.small_pyramids import by_timm
from vitmodels.presets.key_rules import CSWIN, PVT, SWIN
from vittasks.dense.backbone import DenseBackbone
from vittasks.dense.public_names import MAP_NORMS, dense_rules

SEEN = {"mixer": {"op": {"init_args": {"padding": "seen"}}}}
SEEN_EVERYWHERE = {f"stage{number}": SEEN for number in range(1, 5)}
PUBLIC = {
    "pvt_tiny": ("pvt_tiny", {}, nn.Identity, dense_rules(PVT)),
    "pvt_v2_b0": ("pvtv2_b0", {}, nn.Identity, dense_rules(PVT)),
    "swin_tiny": ("swin_tiny", SEEN_EVERYWHERE, nn.LayerNorm, dense_rules(SWIN, MAP_NORMS)),
    "cswin_tiny": ("cswin_tiny", SEEN_EVERYWHERE, nn.LayerNorm, dense_rules(CSWIN, MAP_NORMS)),
}


@pytest.mark.parametrize("variant", PUBLIC)
def test_maps_and_gradients_are_those_of_the_public_dense_backbone(variant):
    model, arguments, norm, rules = PUBLIC[variant]
    record = HeadRecord(f"backbone__{variant}_64x96")
    backbone = DenseBackbone(timm.create_model(model, **arguments), norm=norm)
    network = record.load(nn.ModuleDict({"backbone": backbone}), rules, prefix="backbone.")
    idle_row = (
        512 if variant == "pvt_tiny" else 0
    )  # the public table keeps an entry for a class token that is not there
    assert sum(p.numel() for p in network.parameters()) + idle_row == record["parameters"]
    image = record.image()
    maps = backbone(image)
    for number, one in enumerate(maps):
        assert_output(one, record["outputs_fp64"][f"map{number}"])
    loss = sum(one.square().mean() for one in maps)
    assert loss.item() == pytest.approx(record["loss_fp64"], rel=1e-9)
    loss.backward()
    record.assert_gradients(network, record["grad_l2_fp64"], [image], record["input_grad_l2_fp64"])


def test_what_no_map_needs_is_not_there_and_all_that_is_there_learns():
    backbone = DenseBackbone(by_timm("pvt_tiny"), levels=(0, 2))
    assert (backbone.widths, backbone.strides) == ([16, 48], [4, 16])
    sum(one.sum() for one in backbone(torch.randn(2, 3, 64, 96))).backward()
    assert [name for name, weight in backbone.named_parameters() if weight.grad is None] == []
    assert len(backbone.pyramid.stages) == 3


@pytest.mark.parametrize("model", ["localvit_pvt_tiny", "slide_pvt_tiny", "pvt_tiny"])
def test_a_class_token_leaves_no_trace(model):
    with torch.device("meta"):
        backbone = DenseBackbone(timm.create_model(model))
        sizes = [tuple(one.shape[2:]) for one in backbone(torch.zeros(1, 3, 64, 96))]
    assert not [name for name in backbone.state_dict() if "prefix" in name]
    assert backbone.pyramid.stages[3].position.table.shape == (1, 49, 512)
    assert sizes == [(16, 24), (8, 12), (4, 6), (2, 3)]


def test_a_model_without_maps_and_a_level_that_is_not_there_are_refused():
    with pytest.raises(ValueError, match=r"Linear gives no maps; choose a model with feature_info"):
        DenseBackbone(nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"levels must rise within 0\.\.3, .* got levels=\(0, 4\)"):
        DenseBackbone(by_timm("pvt_tiny"), levels=(0, 4))

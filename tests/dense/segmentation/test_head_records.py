"""Heads and losses of segmentation against the public ones: outputs, losses, gradients, statistics, sizes."""

import pytest
import torch
from torch import nn

from tests.head_records import HeadRecord, assert_output
from vitmodels import KeyRules
from vittasks.dense.public_names import AUXILIARY_FCN, SEMANTIC_FPN, UPERNET
from vittasks.segmentation.fcn import FCN
from vittasks.segmentation.loss import pixel_loss
from vittasks.segmentation.semantic_fpn import SemanticFPN
from vittasks.segmentation.upernet import UPerNet

SMALL_WIDTHS = (8, 16, 24, 32)


def semantic_fpn(widths, classes, pyramid, channels):
    return nn.ModuleDict({"head": SemanticFPN(widths, classes, pyramid, channels, dropout=0.0)}), KeyRules(SEMANTIC_FPN)


def upernet(widths, classes, channels, auxiliary):
    heads = {
        "head": UPerNet(widths, classes, channels, dropout=0.0),
        "auxiliary": FCN(widths, classes, 2, auxiliary, dropout=0.0),
    }
    return nn.ModuleDict(heads), KeyRules(UPERNET + AUXILIARY_FCN)


def with_losses(name):
    """A record with losses and our heads with its weights."""
    record = HeadRecord(name)
    args = record["args"]
    build = (
        semantic_fpn(args["in_channels"], args["classes"], args["fpn_channels"], args["head_channels"])
        if name.startswith("semantic_fpn")
        else upernet(args["in_channels"], args["classes"], args["channels"], args["aux_channels"])
    )
    return record, record.load(*build)


def loss_of(heads, maps, labels):
    logits = {name: head(maps) for name, head in heads.items()}
    losses = {name: pixel_loss(one, labels) for name, one in logits.items()}
    return logits, losses, losses["head"] + 0.4 * losses.get("auxiliary", 0)


@pytest.mark.parametrize("name", ["semantic_fpn__pvt", "semantic_fpn__small", "upernet__swin_tiny", "upernet__small"])
def test_a_head_and_its_loss_are_those_of_the_public_code(name):
    record, heads = with_losses(name)
    record.assert_parameters(heads)
    maps = record.maps()
    logits, losses, total = loss_of(heads, maps, record.labels())
    assert_output(logits["head"], record["outputs_fp64"]["logits"])
    recorded = record["losses_fp64"]
    assert losses["head"].item() == pytest.approx(recorded["decode.loss_ce"], rel=1e-9)
    if "auxiliary" in heads:
        assert_output(logits["auxiliary"], record["outputs_fp64"]["aux_logits"])
        assert 0.4 * losses["auxiliary"].item() == pytest.approx(recorded["aux.loss_ce"], rel=1e-9)
    total.backward()
    record.assert_gradients(heads, record["grad_l2_fp64"], maps, record["input_grad_l2_fp64"])


@pytest.mark.parametrize("name", ["semantic_fpn__small", "upernet__small"])
def test_training_with_batch_statistics_is_that_of_the_public_code(name):
    record, heads = with_losses(name)
    maps, recorded = record.maps(), record["train_mode_fp64"]
    logits, losses, total = loss_of(heads.train(), maps, record.labels())
    assert_output(logits["head"], recorded["logits"])
    assert losses["head"].item() == pytest.approx(recorded["losses"]["decode.loss_ce"], rel=1e-9)
    total.backward()
    record.assert_gradients(heads, recorded["grad_l2"], [], [])


@pytest.mark.parametrize("mode", ["eval_fp64", "train_fp64"])
@pytest.mark.parametrize("name", ["semantic_fpn_even", "upernet_even"])
def test_a_small_head_is_that_of_the_public_code_in_both_modes(name, mode):
    record = HeadRecord(name)
    build = (
        semantic_fpn(SMALL_WIDTHS, 5, 16, 12) if name.startswith("semantic_fpn") else upernet(SMALL_WIDTHS, 5, 12, 10)
    )
    heads = record.load(*build).train(mode == "train_fp64")
    record.assert_parameters(heads)
    maps, recorded = record.maps(), record[mode]
    outputs = {{"head": "logits"}.get(key, key): head(maps) for key, head in heads.items()}
    for key, one in outputs.items():
        assert_output(one, recorded["outputs"][key])
    loss = sum(one.square().mean() for one in outputs.values())
    assert loss.item() == pytest.approx(recorded["loss"], rel=1e-9)
    loss.backward()
    record.assert_gradients(heads, recorded["grad_l2"], maps, recorded["input_grad_l2"])
    record.assert_running_statistics(heads, recorded.get("running_stats_l2_after", {}))


def test_the_loss_is_divided_by_all_pixels_or_by_the_valid_ones():
    record, heads = with_losses("semantic_fpn__small")
    labels = record.labels()
    logits = heads["head"](record.maps())
    valid = pixel_loss(logits, labels, mean="valid")
    assert valid.item() == pytest.approx(record["losses_fp64"]["decode.loss_ce"] * 8 / 7, rel=1e-9)
    nothing = torch.full_like(labels, 255)
    assert pixel_loss(logits, nothing, mean="valid").item() == pixel_loss(logits, nothing).item() == 0


def test_odd_maps_are_resized_to_the_finest_one():
    maps = [torch.randn(1, c, h, w) for c, h, w in ((8, 25, 33), (16, 13, 17), (24, 7, 9), (32, 4, 5))]
    for heads, _ in (semantic_fpn(SMALL_WIDTHS, 5, 16, 12), upernet(SMALL_WIDTHS, 5, 12, 10)):
        assert heads["head"].eval()(maps).shape == (1, 5, 25, 33)


def test_a_level_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"level must lie in 0\.\.3, since there are 4 maps, got level=4"):
        FCN(SMALL_WIDTHS, 5, level=4)

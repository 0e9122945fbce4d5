"""The feature pyramid against the public one, with the further levels of both kinds of detector."""

import pytest
from torch import nn
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from tests.head_records import HeadRecord, assert_output
from vitmodels import KeyRules
from vittasks.dense.feature_pyramid import ConvolvedLevels, FeaturePyramid
from vittasks.dense.public_names import CONVOLVED_LEVELS, FEATURE_PYRAMID

PYRAMIDS = {
    "fpn_maskrcnn_even": (lambda: FeaturePyramid((8, 16, 24, 32), 16, LastLevelMaxPool()), FEATURE_PYRAMID, 0),
    "fpn_retinanet_even": (
        lambda: FeaturePyramid((16, 24, 32), 16, ConvolvedLevels(32, 16)),
        CONVOLVED_LEVELS + FEATURE_PYRAMID,
        1,
    ),
}


@pytest.mark.parametrize("name", PYRAMIDS)
def test_levels_and_gradients_are_those_of_the_public_code(name):
    build, renames, first = PYRAMIDS[name]
    record = HeadRecord(name)
    network = record.load(nn.ModuleDict({"pyramid": build()}), KeyRules(renames))
    record.assert_parameters(network)
    maps, recorded = record.maps(), record["eval_fp64"]
    levels = network["pyramid"].levels(maps[first:])
    for level, one in zip(levels, recorded["outputs"].values(), strict=True):
        assert_output(level, one)
    loss = sum(level.square().mean() for level in levels)
    assert loss.item() == pytest.approx(recorded["loss"], rel=1e-9)
    loss.backward()
    record.assert_gradients(network, recorded["grad_l2"], maps, recorded["input_grad_l2"])

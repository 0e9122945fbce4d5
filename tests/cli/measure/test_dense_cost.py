"""The cost of segmentation networks and detectors, as a plan counts it."""

import pytest

from tests.cli.tiny_ablation import LIGHTNING
from vitcli.config.lightning_cli import resolve, schema
from vitcli.config.overlay import lay_over
from vitcli.measure.cost import CostCounter

pytestmark = LIGHTNING
SMALL = {
    "class_path": "vitmodels.pvtv2_b0",
    "num_classes": 0,
    "in_chans": 1,
    "every.mixer.op.head_dim": 8,
    **{f"stage{number}": {"width": 16 * number, "depth": 1} for number in (1, 2, 3, 4)},
}
GREY = {"short_side": [64], "long_side": 64, "mean": [0.16], "std": [0.26]}


def cost(model, data):
    config = {}
    lay_over(config, schema(), {"model": {"backbone": SMALL, **model}, "data": data}, "here")
    return CostCounter().count(resolve(config, "here"))


def test_a_detector_is_counted_with_its_classes_in_mind():
    detector = {"class_path": "vittasks.FCOS", "channels": 64, "convolutions": 1, **GREY}
    model = {"class_path": "vittasks.Detection", "num_classes": 10, "detector": detector}
    found = cost(model, "vittasks.DigitDetection")
    assert found["parameters"] > 0
    assert found["macs"] > 0
    with pytest.raises(
        ValueError, match=r"model.num_classes is 3, but DigitDetection has 10 classes: set model.num_cl"
    ):
        cost(model | {"num_classes": 3}, "vittasks.DigitDetection")


def test_an_auxiliary_head_has_parameters_and_no_cost():
    head = {"class_path": "vittasks.UPerNet", "channels": 16}
    model = {"class_path": "vittasks.Segmentation", "num_classes": 11, "head": head}
    plain = cost(model, "vittasks.DigitSegmentation")
    both = cost(model | {"auxiliary": {"class_path": "vittasks.FCN", "channels": 8}}, "vittasks.DigitSegmentation")
    # 3 x 3 from 48 channels, BatchNorm, 1 x 1 to 11 classes.
    assert both["parameters"] - plain["parameters"] == 9 * 48 * 8 + 2 * 8 + 8 * 11 + 11
    assert both["macs"] == plain["macs"]

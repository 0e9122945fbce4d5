"""``vitcli cost``: the cost of a whole network at the size that its file states."""

import json

import pytest
import yaml

from tests.cli.tiny_ablation import LIGHTNING
from vitcli.main import main
from vitcli.measure import cost as counting

pytestmark = LIGHTNING
BACKBONE = {
    "class_path": "vitmodels.pvtv2_b0",
    "num_classes": 0,
    "in_chans": 1,
    "every.mixer.op.head_dim": 8,
    **{f"stage{number}": {"width": 8 * number, "depth": 1} for number in (1, 2, 3, 4)},
}
SMALL = {"channels": 8, "box_channels": 16, "mask_convolutions": 1, "short_side": [64], "mean": [0.2], "std": [0.3]}
MASK_RCNN = {
    "model": {
        "class_path": "vittasks.Detection",
        "backbone": BACKBONE,
        "num_classes": 10,
        "detector": {"class_path": "vittasks.MaskRCNN", **SMALL},
    },
    "data": {"class_path": "vittasks.DigitDetection", "root": "nowhere"},
    "trainer": {"accelerator": "gpu", "devices": 8},
    "cost": {"height": 64, "width": 64},
}
BOXES = 1000 * (8 * 49 * 16 + 16 * 16 + 16 * 11 + 16 * 40)
MASKS = 100 * (14**2 * 9 * 8 * 8 + 28**2 * (8 * 8 + 8 * 10))


@pytest.fixture
def cost(tmp_path, capsys):
    def run(*words, **changes):
        path = tmp_path / "file.yaml"
        path.write_text(yaml.safe_dump(MASK_RCNN | changes))
        code = main(["cost", "--config", str(path), *words])
        return code, capsys.readouterr()

    return run


def test_the_heads_of_mask_rcnn_are_counted_on_1000_boxes_and_100_masks_whatever_the_size(cost):
    small, double, other = (
        json.loads(cost("--format", "json", *words)[1].out)
        for words in ((), ("--cost.width", "128"), ("--model.detector.rules.outputs", "torchvision"))
    )
    assert (small["height"], small["width"]) == (64, 64)
    assert small["parameters"] == double["parameters"]
    heads = BOXES + MASKS
    convolutional = small["macs"] - heads
    # All but the heads of boxes and masks grows with the image; reductions leave as many keys for each query in both.
    assert 2 * convolutional < double["macs"] - heads < 2.2 * convolutional
    # torchvision predicts a box and a mask of the background too, from 16 and 8 channels.
    assert other["parameters"] - small["parameters"] == 4 * (16 + 1) + (8 + 1)


def test_the_text_names_both_figures_and_the_size_and_nothing_is_computed(cost, monkeypatch):
    devices, build = [], counting.build
    monkeypatch.setattr(counting, "build", lambda config, device: devices.append(device) or build(config, device))
    code, output = cost()
    assert code == 0
    assert devices == ["meta"]
    assert [line.split()[0] for line in output.out.splitlines()] == ["parameters", "multiply-adds"]
    assert output.out.endswith(" for an image of 64 x 64 pixels\n")


@pytest.mark.parametrize(
    ("words", "changes", "message"),
    [
        ((), {"cost": {"hight": 64}}, "cost.hight has no entry 'hight' in cost; did you mean height?"),
        ((), {"cost": {"height": 64}}, "cost needs height and width in pixels, for example cost.height=512."),
        ((), {"ablation": {"arms": {}}}, "the file has an ablation; vitcli plan prints the costs of its arms."),
        (("--format", "csv"), {}, "--format is 'csv'; expected text, json."),
    ],
)
def test_bad_input_is_named(cost, words, changes, message):
    code, output = cost(*words, **changes)
    assert code == 2
    assert message in output.err

"""DETR on a pyramid: a training step that reaches everything, losses after every layer, boxes in the image's pixels."""

import functools
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from tests.models.small_pyramids import by_timm
from vittasks import DETR, Detection
from vittasks.detection.detr import _corners, _relative

pytestmark = [
    pytest.mark.slow,  # importing transformers takes seconds
    pytest.mark.skipif(find_spec("transformers") is None, reason="the package transformers is not installed"),
]
SMALL = {"channels": 16, "heads": 2, "layers": 2, "hidden": 32, "queries": 5, "dropout": 0.0}
SIZED = {"short_side": (97,), "long_side": 131, "mean": (0.0,), "std": (1.0,)}


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    one = Detection(by_timm("pvt_tiny", in_chans=1, num_classes=0), 3, functools.partial(DETR, **SMALL, **SIZED))
    one.log_dict = lambda *_, **__: None  # outside a running trainer there is nowhere to log to
    return one


def batch():
    some = {"boxes": torch.tensor([[30.0, 20.0, 90.0, 70.0]]), "labels": torch.tensor([2])}
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    return [torch.rand(1, 97, 131), torch.rand(1, 97, 100)], [some, none]


def test_a_step_reaches_every_parameter_and_lowers_the_loss(task):
    images, targets = batch()
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-3)
    before = task.train().training_step((images, targets), 0)
    before.backward()
    assert [name for name, weight in task.named_parameters() if weight.grad is None] == []
    optimizer.step()
    with torch.no_grad():
        assert task.training_step((images, targets), 0) < before


def test_every_layer_of_the_decoder_has_its_losses(task):
    images, targets = batch()
    network = task.network.eval()
    resized, moved = network.transform(images, targets)
    logits, boxes = network._decoded(resized.tensors, resized.image_sizes)
    assert (logits.shape, boxes.shape) == ((2, 2, 5, 4), (2, 2, 5, 4))
    both = network._losses(logits, boxes, moved, resized.image_sizes)
    last, first = (network._losses(logits[[n, n]], boxes[[n, n]], moved, resized.image_sizes) for n in (1, 0))
    # Each alone counts twice there.
    assert all(both[name].item() == pytest.approx((last[name] + first[name]).item() / 2, rel=1e-5) for name in both)


class GivenMaps(nn.Module):
    def __init__(self, grid):
        super().__init__()
        self.grid = grid

    def forward(self, image):
        return [self.grid]


def test_places_of_the_padding_are_not_looked_at(task, monkeypatch):
    network = task.network.eval()
    grid = torch.randn(1, 64, 4, 5)
    other = grid.clone()
    other[..., 4:] = 9  # an image of 100 pixels has four places
    found = []
    for one in (grid, other):
        monkeypatch.setitem(network.backbone._modules, "maps", GivenMaps(one))
        found.append(network._decoded(torch.zeros(1, 1, 128, 160), [(97, 100)])[1])
    assert torch.allclose(*found, atol=1e-6)


def test_there_is_a_detection_for_each_query_in_the_image_s_pixels(task):
    found = task.eval()([torch.rand(1, 194, 262)])[0]
    assert {name: tuple(one.shape) for name, one in found.items()} == {"boxes": (5, 4), "scores": (5,), "labels": (5,)}
    centres = (found["boxes"][:, :2] + found["boxes"][:, 2:]) / 2
    # Before any training, boxes lie about the middle of the image, which is resized by half for the network.
    assert torch.allclose(centres, torch.tensor([131.0, 97.0]), atol=40)


def test_boxes_are_fractions_of_the_image_for_the_network_and_pixels_for_the_user():
    boxes = torch.tensor([[30.0, 20.0, 90.0, 70.0]])
    relative = _relative(boxes, (100, 200))
    assert torch.allclose(relative, torch.tensor([[0.3, 0.45, 0.3, 0.5]]))
    assert torch.allclose(_corners(relative, (100, 200)), boxes)

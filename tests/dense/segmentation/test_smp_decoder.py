"""Decoders of segmentation-models-pytorch as heads: any pyramid and size; without the package a sentence."""

import builtins
import functools

import pytest
import torch

from tests.models.small_pyramids import by_timm
from vittasks import Segmentation, SmpDecoder


@pytest.mark.parametrize("decoder", ["FPN", "UPerNet", "Unet", "Segformer"])
def test_a_decoder_trains_on_a_pyramid_of_any_size(decoder):
    pytest.importorskip("segmentation_models_pytorch")
    head = functools.partial(SmpDecoder, decoder=decoder, channels=32)
    task = Segmentation(by_timm("pvtv2_b0", in_chans=1, num_classes=0), 5, head).train()
    task.log = lambda *_, **__: None  # outside a running trainer there is nowhere to log to
    loss = task.training_step((torch.randn(2, 1, 61, 70), torch.randint(0, 5, (2, 61, 70))), 0)
    loss.backward()
    assert loss.isfinite()
    assert [name for name, weight in task.named_parameters() if weight.grad is None] == []
    assert task.eval()(torch.randn(1, 1, 61, 70)).shape == (1, 5, 61, 70)


def test_initial_weights_do_not_depend_on_what_was_drawn_before():
    pytest.importorskip("segmentation_models_pytorch")
    weights = []
    for drawn in (0, 7):
        torch.manual_seed(0)
        torch.randn(drawn)
        torch.manual_seed(0)
        weights.append(SmpDecoder((8, 16, 24, 32), 3, "Segformer", 8).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_without_the_package_the_error_names_it(monkeypatch):
    imports = builtins.__import__
    monkeypatch.setattr(
        "vittasks.segmentation.smp_decoder.import_module", lambda name: imports("no_package_of_this_name")
    )
    with pytest.raises(
        ValueError, match=r'segmentation-models-pytorch is not installed; pip install "vittasks\[smp\]"'
    ):
        SmpDecoder((8, 16, 24, 32), 3)


def test_other_than_four_maps_are_refused():
    with pytest.raises(ValueError, match="a decoder reads four maps, of strides 4 to 32, got 3 maps"):
        SmpDecoder((8, 16, 24), 3)

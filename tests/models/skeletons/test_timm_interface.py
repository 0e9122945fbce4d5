"""Presets: a builder under a name of its own with other defaults."""

import inspect

import pytest
import timm
import torch

import vitmodels
from vitmodels.skeletons.timm_interface import ImageClassifier, preset


def test_a_preset_states_its_defaults_in_its_signature():
    parameters = inspect.signature(vitmodels.localvit_small).parameters
    assert (parameters["width"].default, parameters["num_classes"].default) == (384, 1000)
    assert parameters["stage3"].default["feed_forward"]["op"]["class_path"] == "vitcore.LocalityFeedForward"
    assert parameters["width"].annotation is int
    assert inspect.signature(vitmodels.skeletons.column).parameters["width"].default == 192, (
        "the builder's own defaults stay"
    )


def test_the_builder_and_timm_make_the_same_model():
    torch.manual_seed(0)
    direct = vitmodels.localvit_tiny(num_classes=3, img_size=64).state_dict()
    torch.manual_seed(0)
    by_timm = timm.create_model("localvit_tiny", num_classes=3, img_size=64).state_dict()
    assert direct.keys() == by_timm.keys()
    assert all(direct[name].equal(by_timm[name]) for name in direct)


def test_a_misspelt_default_is_refused_before_it_is_registered():
    with pytest.raises(
        ValueError, match=r"preset vit_x: column has no argument 'wdith'; it has num_classes, in_chans, "
    ):
        preset("vit_x", vitmodels.skeletons.column, "A model.", wdith=96)
    assert not timm.is_model("vit_x")


@pytest.mark.parametrize(
    ("use", "lacks"),
    [
        (lambda model: model.pools, "pools"),
        (lambda model: model.forward_features(torch.zeros(1)), "forward_features"),
        (lambda model: model.pool(torch.zeros(1)), "pool"),
    ],
)
def test_a_skeleton_is_told_what_it_must_define(use, lacks):
    with pytest.raises(TypeError, match=f"ImageClassifier does not define {lacks}"):
        use(ImageClassifier(in_chans=3, width=8, drop_rate=0.0))

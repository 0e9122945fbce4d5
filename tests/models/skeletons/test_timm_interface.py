"""Presets: a builder under a name of its own with other defaults."""

import inspect
import typing

import pytest
import timm
import torch

import vitmodels
from vitmodels.skeletons.timm_interface import preset


def test_a_preset_states_its_defaults_in_its_signature():
    parameters = inspect.signature(vitmodels.localvit_small).parameters
    assert (parameters["width"].default, parameters["num_classes"].default) == (384, 1000)
    assert parameters["stage3"].default["feed_forward"]["op"]["class_path"] == "vitcore.LocalityFeedForward"
    assert parameters["width"].annotation is int
    assert inspect.signature(vitmodels.column).parameters["width"].default == 192, "the builder's own defaults stay"


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
        preset("vit_x", vitmodels.column, "A model.", wdith=96)
    assert not timm.is_model("vit_x")


def test_a_preset_takes_its_arguments_by_position_and_by_name():
    small = vitmodels.deit_tiny(10, img_size=32, depth=3)
    assert (small.num_classes, small.position.grid_size, len(small.blocks)) == (10, (2, 2), 3)
    with pytest.raises(TypeError, match="dpeth"):
        vitmodels.deit_tiny(dpeth=3)


def test_a_builder_that_takes_over_arguments_states_them_with_their_types():
    parameters = inspect.signature(vitmodels.tnt_tiny).parameters
    assert list(parameters)[3:8] == ["width", "pixel_width", "depth", "pixels", "inner"]
    assert "stem" not in parameters
    assert parameters["prefix_tokens"].annotation is int
    assert typing.get_type_hints(vitmodels.tnt_tiny)["return"] is vitmodels.NestedColumn
    assert "prefix_tokens" not in inspect.signature(vitmodels.deit_tiny_distilled).parameters

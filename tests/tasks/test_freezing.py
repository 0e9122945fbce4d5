import pytest
import timm
import torch
import torchvision

import vitmodels  # noqa: F401 (registers the models)
from vittasks import Classification, Freezing, Segmentation


def task(name="localvit_pvt_tiny", kind=Classification, arguments=(), **freezing):
    with torch.device("meta"):
        backbone = timm.create_model(name, drop_path_rate=0.1)
        return kind(backbone, *arguments, freezing=Freezing(**freezing))


def learning(module):
    return {name for name, p in module.named_parameters() if p.requires_grad}


def training(module):
    return {name for name, part in module.named_modules() if part.training and name.startswith("backbone.")}


def test_all_of_the_backbone_but_its_classifier_is_frozen_for_linear_probing():
    probe = task(stages="all")
    assert learning(probe) == {"backbone.head.weight", "backbone.head.bias"}


def test_the_first_stages_of_a_pyramid_are_frozen_with_the_stem():
    partly = task(stages=2)
    names = {name for name, _ in partly.named_parameters()}
    assert names - learning(partly) == {
        name for name in names if name.startswith(("backbone.stages.0.", "backbone.stages.1."))
    }


def test_the_first_blocks_of_a_column_are_frozen_with_stem_positions_and_class_token():
    partly = task("deit_tiny", stages=3)
    frozen = {name.split(".", 1)[1] for name, _ in partly.named_parameters()} - {
        name.split(".", 1)[1] for name in learning(partly)
    }
    assert {"prefix", "position.table", "stem.projection.weight", "blocks.2.mixer.norm.weight"} <= frozen
    assert not [name for name in frozen if name.startswith(("blocks.3", "norm", "head"))]


def test_what_is_frozen_whole_stays_in_evaluation_mode():
    partly = task(stages=1).eval().train()
    assert not [name for name in training(partly) if name.startswith("backbone.stages.0")]
    assert "backbone.stages.1.blocks.0" in training(partly)
    assert partly.backbone.training


def test_batch_norms_may_keep_their_statistics_while_everything_learns():
    running = task(batch_norms="running").train()
    norms = {name for name, part in running.named_modules() if isinstance(part, torch.nn.BatchNorm2d)}
    assert norms
    assert not norms & training(running)
    assert learning(running) == {name for name, _ in running.named_parameters()}


def test_stages_of_a_segmentation_backbone_are_frozen_after_its_class_token_is_gone():
    partly = task(kind=Segmentation, arguments=[5], stages="all")
    assert learning(partly) == {name for name, _ in partly.head.named_parameters("head")}


def test_any_classifier_is_probed_but_stages_must_be_known():
    with torch.device("meta"):
        resnet = torchvision.models.resnet18(num_classes=3)
    assert learning(Classification(resnet, freezing=Freezing(stages="all"))) == {
        "backbone.fc.weight",
        "backbone.fc.bias",
    }
    with pytest.raises(ValueError, match="stages is 2, but ResNet has no group_matcher"):
        Classification(resnet, freezing=Freezing(stages=2))


def test_stages_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"stages must lie within 0\.\.4 for Pyramid, or be all, got stages=5"):
        task(stages=5)

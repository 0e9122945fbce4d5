"""A backbone that states no number of classes has that of the data."""

import pytest
from lightning.pytorch import LightningDataModule
from torch import nn

from vitcli.config.lightning_cli import resolve

OURS = {"class_path": "vitmodels.localvit_tiny", "init_args": {"img_size": 32}}


class ThousandClasses(LightningDataModule):
    """Data with as many classes as ImageNet-1k."""

    num_classes = 1000


class Unlabelled(LightningDataModule):
    """Data that know no classes."""


def backbone_of(backbone, data="vittasks.DigitScenes"):
    """The arguments of a backbone in the complete configuration."""
    model = {"class_path": "vittasks.Classification", "init_args": {"backbone": backbone}}
    config = {"model": model, "data": {"class_path": data, "init_args": {}}, "trainer": {}}
    return resolve(config, "file.yaml")["model"]["init_args"]["backbone"].get("init_args", {})


@pytest.mark.parametrize(
    "backbone",
    [
        OURS,
        "timm.models.resnet10t",
        {"class_path": "timm.create_model", "init_args": {"model_name": "resnet10t"}},
        {"class_path": "torchvision.models.resnet18"},
    ],
)
def test_the_number_comes_from_the_data(backbone):
    assert backbone_of(backbone)["num_classes"] == 10


def network(**options) -> nn.Module:
    """A backbone of the user's own, whose argument for the classes has another name."""
    return nn.Linear(4, options["classes"])


def test_a_backbone_that_decides_by_itself_is_left_alone():
    file = {"class_path": "vitmodels.load_checkpoint", "init_args": {"name": "pvt_tiny", "path": "pvt.pth"}}
    assert backbone_of(file).get("num_classes") is None
    assert "num_classes" not in backbone_of({"class_path": f"{__name__}.network", "init_args": {"classes": 10}})


def test_a_stated_number_stays():
    assert backbone_of(OURS | {"init_args": {"img_size": 32, "num_classes": 7}})["num_classes"] == 7


@pytest.mark.parametrize("data", [ThousandClasses, Unlabelled])
def test_the_text_of_a_configuration_that_needs_no_number_stays(data):
    path = f"{__name__}.{data.__name__}"
    assert backbone_of(OURS, path)["num_classes"] == 1000
    assert "num_classes" not in backbone_of("timm.models.resnet10t", path)


def test_data_that_are_not_there_leave_the_number_open():
    data = {"class_path": "vittasks.ImageFolder", "init_args": {"root": "nowhere"}}
    model = {"class_path": "vittasks.Classification", "init_args": {"backbone": "timm.models.resnet10t"}}
    resolved = resolve({"model": model, "data": data, "trainer": {}}, "file.yaml")
    assert "num_classes" not in resolved["model"]["init_args"]["backbone"].get("init_args", {})

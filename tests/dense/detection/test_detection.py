"""The task: training and mAP with each detector, sizes, and images without objects."""

import functools

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from tests.models.small_pyramids import by_timm
from vittasks import FCOS, Detection, DigitDetection, MaskRCNN, RetinaNet, SceneRecipe

SCENES = SceneRecipe(training=8, validation=3, test=3)
GREY = {"short_side": (64,), "long_side": 128, "mean": (0.16,), "std": (0.26,)}
DETECTORS = {
    "fcos": functools.partial(FCOS, levels=(0, 1, 2), extra_levels="none", channels=32, convolutions=1, **GREY),
    "retinanet": functools.partial(RetinaNet, channels=8, **GREY),
    "retinanet_torchvision": functools.partial(
        RetinaNet, channels=8, recipe="torchvision", tower_norm=functools.partial(nn.GroupNorm, 4), **GREY
    ),
    "mask_rcnn": functools.partial(MaskRCNN, channels=8, box_channels=16, mask_convolutions=1, **GREY),
    "mask_rcnn_torchvision": functools.partial(
        MaskRCNN, channels=8, box_channels=16, mask_convolutions=1, recipe="torchvision", **GREY
    ),
}


def task(detector):
    torch.manual_seed(0)
    return Detection(by_timm("pvt_tiny", in_chans=1, num_classes=0), 10, DETECTORS[detector])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return tmp_path_factory.mktemp("scenes")


@pytest.mark.parametrize("detector", ["fcos", "mask_rcnn"])
def test_a_training_ends_in_the_scores_of_a_test(tmp_path, scenes, detector):
    one, data = task(detector), DigitDetection(str(scenes), SCENES, batch_size=4)
    runner = pl.Trainer(
        accelerator="cpu", default_root_dir=tmp_path, max_epochs=1, logger=False, enable_checkpointing=False,
        num_sanity_val_steps=0, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    runner.fit(one, datamodule=data)
    assert {"train/loss", "val/mAP", "val/mAP50"} <= set(runner.callback_metrics)
    (scores,) = runner.test(one, datamodule=data, verbose=False)
    masks = {"test/mask_mAP", "test/mask_mAP50"} if detector == "mask_rcnn" else set()
    classes = {name: scores.pop(name) for name in list(scores) if "AP/" in name}
    assert set(scores) == {"test/mAP", "test/mAP50", "test/mAP75"} | masks
    of_boxes = [score for name, score in classes.items() if name.startswith("test/AP/")]
    assert sum(of_boxes) / len(of_boxes) == pytest.approx(scores["test/mAP"])
    assert all(0 <= score <= 1 for score in scores.values())


@pytest.mark.parametrize("detector", DETECTORS)
def test_any_size_and_an_image_without_objects_give_a_loss_that_reaches_every_parameter(detector):
    one = task(detector).train()
    one.log_dict = lambda *_, **__: None  # outside a running trainer there is nowhere to log to
    images = [torch.rand(1, 97, 131), torch.rand(1, 64, 80)]
    masks = torch.zeros(1, 97, 131, dtype=torch.uint8)
    masks[:, 20:50, 30:70] = 1
    some = {"boxes": torch.tensor([[30.0, 20.0, 70.0, 50.0]]), "labels": torch.tensor([3]), "masks": masks}
    none = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.long),
        "masks": torch.zeros(0, 64, 80, dtype=torch.uint8),
    }
    loss = one.training_step((images, [some, none]), 0)
    assert loss.isfinite()
    loss.backward()
    assert [name for name, weight in one.named_parameters() if weight.grad is None] == []
    assert one.training_step((images[1:], [none]), 0).isfinite()
    found = one.eval()(images)
    assert all(boxes["boxes"].shape[1] == 4 and (boxes["labels"] >= 0).all() for boxes in found)


def test_positions_of_the_pyramid_are_not_decayed():
    one = Detection(by_timm("swin_tiny", in_chans=1, num_classes=0), 10, DETECTORS["fcos"])
    names = one.no_weight_decay()
    assert names
    assert names <= set(dict(one.named_parameters()))


def test_channels_that_the_norms_cannot_group_are_refused():
    with pytest.raises(
        ValueError, match=r"channels must be a multiple of 32, because its norms have 32 groups, got channels=24"
    ):
        FCOS(by_timm("pvt_tiny", in_chans=1), 10, channels=24)

"""The task: training, scores, sizes, and its limits."""

import functools

import lightning.pytorch as pl
import pytest
import torch

from tests.models.small_pyramids import by_timm
from vittasks import FCN, DigitSegmentation, SceneRecipe, Segmentation, SemanticFPN, UPerNet

SCENES = SceneRecipe(training=8, validation=3, test=3)
HEADS = {
    "semantic_fpn": {"head": functools.partial(SemanticFPN, pyramid_channels=8, channels=8)},
    "upernet": {
        "head": functools.partial(UPerNet, channels=8),
        "auxiliary": functools.partial(FCN, channels=8),
        "map_norm": torch.nn.LayerNorm,
    },
}


UPERNET_WITHOUT_DROPOUT = {
    "head": functools.partial(UPerNet, channels=8, dropout=0.0),
    "auxiliary": functools.partial(FCN, channels=8, dropout=0.0),
}


def task(**arguments):
    torch.manual_seed(0)
    return Segmentation(by_timm("pvt_tiny", in_chans=1, num_classes=0), 11, **HEADS["semantic_fpn"] | arguments)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return tmp_path_factory.mktemp("scenes")


def trainer(tmp_path, **arguments):
    arguments = {"max_epochs": 1, "logger": False, "enable_checkpointing": False, "num_sanity_val_steps": 0} | arguments
    return pl.Trainer(
        accelerator="cpu", default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False, **arguments
    )


def step(one, image, label):
    one.log = lambda *_, **__: None  # outside a running trainer there is nowhere to log to
    loss = one.training_step((image, label), 0)
    loss.backward()
    return loss


@pytest.mark.parametrize("head", HEADS)
def test_a_training_ends_in_the_scores_of_a_test(tmp_path, scenes, head):
    one, data = task(**HEADS[head]), DigitSegmentation(str(scenes), SCENES, batch_size=4)
    runner = trainer(tmp_path)
    runner.fit(one, datamodule=data)
    assert {"train/loss", "val/loss", "val/mIoU", "val/mAcc", "val/aAcc"} <= set(runner.callback_metrics)
    (scores,) = runner.test(one, datamodule=data, verbose=False)
    classes = {name: scores.pop(name) for name in list(scores) if name.startswith("test/IoU/")}
    assert set(scores) == {"test/loss", "test/mIoU", "test/mAcc", "test/aAcc"}
    assert sum(classes.values()) / len(classes) == pytest.approx(scores["test/mIoU"])
    assert "test/IoU/background" in classes


@pytest.mark.parametrize("head", HEADS)
def test_any_size_and_a_single_image_reach_every_parameter(head):
    one = task(**HEADS[head]).train()
    image, label = torch.randn(1, 1, 97, 131), torch.randint(0, 11, (1, 97, 131))
    assert step(one, image, label).isfinite()
    still = [name for name, weight in one.named_parameters() if weight.grad is None]
    assert still == []
    assert one.eval()(image).shape == (1, 11, 97, 131)


def test_an_image_without_a_labelled_pixel_gives_a_loss_of_zero():
    for mean in ("all", "valid"):
        one = task(loss_mean=mean).train()
        assert step(one, torch.randn(2, 1, 64, 64), torch.full((2, 64, 64), 255)) == 0
        assert all(weight.grad.isfinite().all() for weight in one.parameters())


def test_the_auxiliary_head_counts_by_its_weight_and_in_training_alone():
    image, label = torch.randn(2, 1, 64, 64), torch.randint(0, 11, (2, 64, 64))
    losses = [step(task(**UPERNET_WITHOUT_DROPOUT, auxiliary_weight=w).train(), image, label).item() for w in (0, 1, 3)]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)
    one = task(**HEADS["upernet"]).eval()
    one.auxiliary = torch.nn.Identity()  # would fail if it were called with a list
    assert one(image).shape == (2, 11, 64, 64)


def test_a_test_averages_the_configured_copies():
    image = torch.randn(1, 1, 64, 64)
    one = task(test_flip="horizontal").eval()
    mirrored = (one(image).softmax(1) + one(image.flip(3)).flip(3).softmax(1)) / 2
    assert torch.equal(one.predict_step(image, 0), mirrored.argmax(1))


def test_classes_that_do_not_fit_the_data_are_refused_with_the_fix(tmp_path, scenes):
    one = task()
    one.num_classes = 5
    with pytest.raises(
        ValueError, match=r"model.num_classes is 5, but DigitSegmentation has 11 classes: set model.num"
    ):
        trainer(tmp_path).fit(one, datamodule=DigitSegmentation(str(scenes), SCENES, batch_size=4))

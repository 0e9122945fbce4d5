"""Limit cases of a training step: odd sizes, a batch of one, nothing to learn from. The loss is finite and the step is taken."""

import json

import pytest
import torch

from tests.dense.data.trees import write_coco
from tests.dense.detection.test_detection import DETECTORS
from tests.dense.segmentation.test_segmentation import HEADS
from tests.models.small_pyramids import by_timm
from vittasks import CocoObjects, Detection, DetectionFolder, Segmentation

H, W = 97, 131


def no_objects(h=H, w=W):
    boxes, masks = torch.zeros(0, 4), torch.zeros(0, h, w, dtype=torch.bool)
    return {"boxes": boxes, "labels": torch.zeros(0, dtype=torch.long), "masks": masks}


def one_object(h=H, w=W):
    masks = torch.zeros(1, h, w, dtype=torch.bool)
    masks[:, 20:50, 30:60] = True
    return {"boxes": torch.tensor([[30.0, 20, 60, 50]]), "labels": torch.tensor([3]), "masks": masks}


def take_a_step(task, batch):
    """Take a step of the task's optimizer; every weight stays finite, and some change."""
    task.log = task.log_dict = lambda *_, **__: None  # outside a running trainer there is nowhere to log to
    optimizer = torch.optim.AdamW(task.train().parameters(), lr=1e-3, weight_decay=0.1)
    before = [weight.detach().clone() for weight in task.parameters()]
    loss = task.training_step(batch, 0)
    assert loss.isfinite()
    loss.backward()
    optimizer.step()
    after = list(task.parameters())
    assert all(weight.isfinite().all() for weight in after)
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    return loss


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("case", ["odd size, batch of one", "all pixels ignored"])
def test_a_segmentation_takes_the_step(head, case):
    torch.manual_seed(0)
    task = Segmentation(by_timm("pvt_tiny", in_chans=1, num_classes=0), 11, **HEADS[head])
    label = torch.randint(0, 11, (1, H, W)) if case.startswith("odd") else torch.full((1, H, W), 255)
    loss = take_a_step(task, (torch.randn(1, 1, H, W), label))
    assert (loss == 0) == (case == "all pixels ignored")


@pytest.mark.parametrize("detector", ["fcos", "retinanet", "mask_rcnn"])
@pytest.mark.parametrize("case", ["odd size, batch of one", "no object", "no object in one of two"])
def test_a_detection_takes_the_step(detector, case):
    torch.manual_seed(0)
    task = Detection(by_timm("pvt_tiny", in_chans=1, num_classes=0), 10, DETECTORS[detector])
    batches = {
        "odd size, batch of one": ([torch.rand(1, H, W)], [one_object()]),
        "no object": ([torch.rand(1, H, W)], [no_objects()]),
        "no object in one of two": (
            [torch.rand(1, H, W), torch.rand(1, 64, 80)],
            [one_object(), no_objects(64, 80)],
        ),
    }
    take_a_step(task, batches[case])


def test_crowds_alone_are_not_objects_in_training_and_score_nothing(tmp_path):
    write_coco(tmp_path)
    for split in ("train", "val"):
        path = tmp_path / f"annotations/instances_{split}2017.json"
        content = json.loads(path.read_text())
        content["annotations"] = [one for one in content["annotations"] if one.get("iscrowd")]
        path.write_text(json.dumps(content))
    data = DetectionFolder(str(tmp_path), CocoObjects(), 2, channels=1, batch_size=2, workers=0)
    data.check_data()
    batch = next(iter(data.train_dataloader()))
    assert [len(target["boxes"]) for target in batch[1]] == [0, 0]
    torch.manual_seed(0)
    task = Detection(by_timm("pvt_tiny", in_chans=1, num_classes=0), 2, DETECTORS["mask_rcnn"])
    take_a_step(task, batch)
    logged = {}
    task.eval().log_dict = lambda values, **_: logged.update(values)
    with torch.no_grad():
        for number, found in enumerate(data.val_dataloader()):
            task.validation_step(found, number)
    task.on_validation_epoch_end()
    assert set(map(float, logged.values())) == {0.0}

"""mAP of a detection task over COCO's files is that of pycocotools, for boxes and masks, crowds and sizes included."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vittasks import CocoObjects, Detection, DetectionFolder, MaskRCNN

SIDE, IMAGES = 160, 40


class Recorded(MaskRCNN):
    """A detector that gives recorded detections, one image after the other."""

    def __init__(self, found):
        nn.Module.__init__(self)
        self.found, self.backbone = iter(found), nn.ModuleDict({"maps": nn.ModuleDict({"pyramid": nn.Identity()})})

    def forward(self, images, targets=None):
        return [next(self.found) for _ in images]


def random_box(draw, largest=SIDE):
    w, h = draw.integers(3, largest, 2) if largest > 3 else (3, 3)
    x, y = draw.integers(0, SIDE - w + 1), draw.integers(0, SIDE - h + 1)
    return [int(x), int(y), int(w), int(h)]


def near(draw, box):
    x, y, w, h = box
    x, y = (int(np.clip(one + draw.integers(-4, 5), 0, SIDE - 3)) for one in (x, y))
    w, h = (int(np.clip(one + draw.integers(-4, 5), 3, SIDE - at)) for one, at in ((w, x), (h, y)))
    return [x, y, w, h]


def ellipse(box):
    """A mask inside a box, which it touches on all sides."""
    x, y, w, h = box
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    return ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2 <= 1


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Forty images with up to five objects, some crowds, some images empty; and 200 detections, half of them near an object."""
    from pycocotools import mask as theirs

    def code(mask):
        packed = theirs.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"size": packed["size"], "counts": packed["counts"].decode()}

    root, draw = tmp_path_factory.mktemp("coco"), np.random.default_rng(0)
    objects, found = [], []
    for image in range(IMAGES):
        Image.new("L", (SIDE, SIDE)).save(root / f"{image}.png")
        own = [
            (random_box(draw, int(draw.choice([12, 60, SIDE]))), int(draw.integers(1, 5)) * 10)
            for _ in range(draw.integers(0, 6))
        ]
        for box, category in own:
            mask = ellipse(box)
            objects.append({
                "id": len(objects) + 1, "image_id": image, "category_id": category, "bbox": box,
                "area": int(mask.sum()), "iscrowd": int(draw.random() < 0.15), "segmentation": code(mask),
            })  # fmt: skip
        for _ in range(5):
            box, category = random_box(draw), int(draw.integers(1, 5)) * 10
            if own and draw.random() < 0.7:
                of, category = own[draw.integers(len(own))]
                box = near(draw, of)
            found.append({
                "image_id": image, "category_id": category, "bbox": box, "score": float(draw.random()),
                "segmentation": code(ellipse(box)),
            })  # fmt: skip
    images = [{"id": one, "file_name": f"{one}.png", "height": SIDE, "width": SIDE} for one in range(IMAGES)]
    categories = [{"id": 10 * one, "name": f"class {one}"} for one in range(1, 5)]
    content = {"info": {}, "images": images, "annotations": objects, "categories": categories}
    (root / "objects.json").write_text(json.dumps(content))
    (root / "found.json").write_text(json.dumps(found))
    return root


def scores_of_pycocotools(root, kind):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(root / "objects.json"))
        evaluation = COCOeval(truth, truth.loadRes(str(root / "found.json")), kind)
        for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
            step()
    return evaluation.stats


def recorded(root):
    """The detections of each image as Mask R-CNN gives them: classes from 1, masks as probabilities."""
    from pycocotools import mask as theirs

    for image in range(IMAGES):
        own = [one for one in json.loads((root / "found.json").read_text()) if one["image_id"] == image]
        boxes = torch.tensor([one["bbox"] for one in own], dtype=torch.float32)
        boxes[:, 2:] += boxes[:, :2]
        masks = np.stack([theirs.decode(one["segmentation"]) for one in own])
        yield {
            "boxes": boxes,
            "scores": torch.tensor([one["score"] for one in own]),
            "labels": torch.tensor([one["category_id"] // 10 for one in own]),
            "masks": torch.from_numpy(masks)[:, None] * 0.9,
        }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools with numpy 2
def test_scores_are_those_of_pycocotools_on_the_same_files(request):
    pytest.importorskip("pycocotools")
    root = request.getfixturevalue("files")
    data = DetectionFolder(
        str(root), CocoObjects(("objects.json",) * 3, (".",) * 3), 4, channels=1, eval_batch_size=7, workers=0
    )
    task = Detection(nn.Identity(), 4, lambda pyramid, classes: Recorded(recorded(root)))
    logged = {}
    task.log_dict = lambda values, **_: logged.update(values)
    data.setup("validate")
    for number, batch in enumerate(data.val_dataloader()):
        task.validation_step(batch, number)
    task.on_validation_epoch_end()
    boxes, masks = (scores_of_pycocotools(root, kind) for kind in ("bbox", "segm"))
    assert 0.05 < boxes[0] < 0.9
    expected = dict(zip(("val/mAP", "val/mAP50", "val/mAP75"), boxes, strict=False))
    expected |= dict(zip(("val/mask_mAP", "val/mask_mAP50"), masks, strict=False))
    assert {name: float(value) for name, value in logged.items() if name in expected} == pytest.approx(
        expected, abs=1e-6
    )


def test_detections_that_lie_in_a_crowd_or_a_difficult_object_count_neither_way_however_small_and_many():
    found = {
        "boxes": torch.tensor([[5.0, 5, 10, 10], [0, 0, 20, 20], [1, 1, 20, 20], [30, 30, 50, 50]]),
        "scores": torch.tensor([0.9, 0.8, 0.7, 0.6]),
        "labels": torch.ones(4, dtype=torch.long),
        "masks": torch.zeros(4, 1, SIDE, SIDE),
    }
    boxes = torch.tensor([[0.0, 0, 20, 20], [30, 30, 50, 50]])
    scores = []
    for crowd in ([1, 0], [0, 0]):
        task = Detection(nn.Identity(), 1, lambda pyramid, classes: Recorded([found]))
        logged = {}
        task.log_dict = lambda values, logged=logged, **_: logged.update(values)
        truth = {"boxes": boxes, "labels": torch.zeros(2, dtype=torch.long), "iscrowd": torch.tensor(crowd)}
        masks = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
        task.validation_step(([torch.zeros(1, SIDE, SIDE)], [truth | {"masks": masks}]), 1)
        task.on_validation_epoch_end()
        scores.append(float(logged["val/mAP50"]))
    assert scores[0] == 1
    assert scores[1] < 0.7  # the small box, and all but one of the others, are false

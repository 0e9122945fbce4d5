"""Runs of segmentation and detection: scores of single classes, pictures of the validation, and predictions on images."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.cli.tiny_ablation import LIGHTNING, TRAINER, write
from tests.models.small_pyramids import keys
from vitcli.main import main

pytestmark = LIGHTNING

SCENES = {"training": 8, "validation": 2, "test": 2}
BACKBONE = {"class_path": "vitmodels.pvt_tiny", "num_classes": 0, "in_chans": 1, "img_size": 64, **keys("pvt_tiny")}
GREY = {"short_side": [64], "long_side": 64, "mean": [0.14], "std": [0.25]}
DETECTOR = {
    "class_path": "vittasks.MaskRCNN", "channels": 8, "box_channels": 16, "mask_convolutions": 1, **GREY,
}  # fmt: skip
TASKS = {
    "Segmentation": {
        "num_classes": 11,
        "head": {"class_path": "vittasks.SemanticFPN", "pyramid_channels": 8, "channels": 8},
    },
    "Detection": {"num_classes": 10, "detector": DETECTOR},
}


def train(folder, task):
    """Train two steps and return the run's directory, and the folder of the scenes."""
    path = write(
        folder / "dense.yaml",
        threads=1,
        model={"class_path": f"vittasks.{task}", "init_args": {"backbone": BACKBONE, **TASKS[task]}},
        data={
            "class_path": f"vittasks.Digit{task}",
            "init_args": {"root": str(folder / "scenes"), "recipe": SCENES, "batch_size": 4},
        },
        trainer=TRAINER,
        runs=str(folder / "runs"),
    )
    assert main(["fit", "--config", path]) == 0
    (scenes,) = (folder / "scenes").iterdir()
    return folder / "runs" / "dense" / "fit0", scenes


def pictures_of_the_validation(run):
    events = EventAccumulator(str(run), size_guidance={"images": 0})
    events.Reload()
    return events.Tags()["images"]


def test_a_segmentation_is_scored_by_class_and_drawn(tmp_path, capsys):
    run, scenes = train(tmp_path, "Segmentation")
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    assert {"test/IoU/background", "test/IoU/3"} <= set(metrics)
    assert "val/picture0" in pictures_of_the_validation(run)
    image, photo = scenes / "images/test/000000.png", tmp_path / "wide.png"
    Image.new("RGB", (150, 90), "white").save(photo)
    (tmp_path / "cut.png").write_bytes(image.read_bytes()[:100])
    out = tmp_path / "out"
    assert main(["predict", str(run), str(image), str(photo), str(tmp_path / "cut.png"), "--out", str(out)]) == 1
    assert "cut.png: left out, since the image cannot be read" in capsys.readouterr().err
    of_scene, of_photo = json.loads((out / "predictions.json").read_text())["predictions"]
    with Image.open(out / of_scene["picture"]) as picture:
        assert picture.size == (4 * 256, 256)  # image, truth, prediction, errors
    with Image.open(out / of_photo["picture"]) as picture:
        assert picture.size == (2 * 3 * 150, 3 * 90)
    classes = np.array(Image.open(out / of_photo["classes_file"]))
    assert classes.shape == (90, 150)
    assert sum(of_photo["classes"].values()) == pytest.approx(1)
    assert set(of_photo["classes"]) <= {"background", *"0123456789"}
    assert main(["export", str(run), "--format", "timm", "--out", str(tmp_path / "timm")]) == 2
    assert "the model is Segmentation, which timm.create_model does not know by name" in capsys.readouterr().err


@pytest.mark.slow
def test_a_detection_is_scored_by_class_and_drawn(tmp_path, capsys):
    run, scenes = train(tmp_path, "Detection")
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    assert any(name.startswith("test/AP/") for name in metrics)
    assert any(name.startswith("test/mask_AP/") for name in metrics)
    assert "val/picture0" in pictures_of_the_validation(run)
    out = tmp_path / "out"
    assert main(["predict", str(run), str(scenes / "images/test"), "--out", str(out)]) == 0
    first, second = json.loads((out / "predictions.json").read_text())["predictions"]
    assert first["objects"] == [] or set(first["objects"][0]) == {"class", "score", "box"}
    with Image.open(out / second["picture"]) as picture:
        assert picture.size == (3 * 256, 256)  # image, truth, detections
    assert main(["test", str(run)]) == 0
    assert json.loads((run / "test0.json").read_text())["speed"]["inference_images_per_second"] > 0
    assert main(["export", str(run), "--format", "safetensors"]) == 2
    assert "Detection does not answer with one tensor" in capsys.readouterr().err
    shutil.rmtree(scenes)  # without the data there is no truth
    Image.new("L", (64, 64)).save(tmp_path / "black.png")
    assert main(["predict", str(run), str(tmp_path / "black.png"), "--out", str(tmp_path / "more")]) == 0

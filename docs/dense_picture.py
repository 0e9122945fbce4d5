"""Draw the picture of dense tasks in the README from two trained runs, one of segmentation and one of Mask R-CNN.

    vitcli fit --config ablations/dense_backbones.yaml --ablation.only pvtv2 --ablation.seeds 1
    vitcli fit --config ablations/dense_instances.yaml --ablation.only pvtv2 --ablation.seeds 1
    python docs/dense_picture.py runs/dense_backbones/pvtv2/seed0 runs/dense_instances/pvtv2/seed0

It shows the first two scenes of the test set, none chosen, and is written to docs/dense.png.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from vitcli import load_run
from vittasks.dense.drawing import class_names, detection_picture, segmentation_picture

OUT = Path(__file__).parent / "dense.png"
TITLES = ("scene", "classes: truth", "prediction", "wrong pixels", "objects: prediction")
SCENES, SIDE, HEADER, COLOURS = 2, 256, 30, 64


def draw(segmentation: str, detection: str) -> None:
    """Write the picture, given the directories of the two runs."""
    pixels, objects = load_run(segmentation), load_run(detection)
    with torch.inference_mode():
        rows = [torch.cat([_pixels(pixels, number), _objects(objects, number)], 2) for number in range(SCENES)]
    scenes = to_pil_image(torch.cat(rows, 1))
    picture = Image.new("RGB", (scenes.width, scenes.height + HEADER), "white")
    picture.paste(scenes, (0, HEADER))
    for number, title in enumerate(TITLES):
        ImageDraw.Draw(picture).text((number * SIDE + 6, 4), title, "black", ImageFont.load_default(18))
    picture.quantize(COLOURS).save(OUT, optimize=True)


def _pixels(run: Any, number: int) -> Tensor:
    """Return a scene, its classes in truth and prediction, and the wrong pixels, side by side."""
    image, truth = _example(run, number)
    return segmentation_picture(image, run.task.classes(image[None], truth.shape)[0], truth, run.task.ignored)


def _objects(run: Any, number: int) -> Tensor:
    """Return a scene with the objects that were found in it."""
    image, truth = _example(run, number)
    names = class_names(run.class_names, run.task.num_classes)
    return detection_picture(image, run.task([image])[0], truth, names)[:, :, -SIDE:]


def _example(run: Any, number: int) -> Any:
    run.data.prepare_data()
    return run.data.split("test")[number]


if __name__ == "__main__":
    draw(*sys.argv[1:3])

"""Every recipe that is shipped trains on two devices: two steps of two processes, with its own settings and narrow networks."""

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.cli.images import write_images
from tests.cli.shipped.test_recipes import RECIPES
from tests.cli.shipped.trainings import train_on_two
from tests.dense.data.trees import write_ade20k, write_coco

OF_DENSE = RECIPES / "dense"

COLUMN = {"width": 16, "depth": 2, "every.mixer.op.head_dim": 8}
STAGES = {f"stage{number}": {"width": 16 * number, "depth": 2} for number in (1, 2, 3, 4)}
PYRAMID = {"every.mixer.op.head_dim": 8, **STAGES}
CLUSTERS = {f"stage{number}.alternate.content_mixer.op.head_dim": 8 for number in (1, 2, 3)}
TEACHER = {
    "class_path": "vitmodels.deit_tiny",
    "num_classes": 3,
    "img_size": 64,
    "width": 16,
    "depth": 1,
    "every.mixer.op.head_dim": 8,
}

MASK_RCNN = {"channels": 32, "box_channels": 32, "short_side": [64], "long_side": 128}

BACKBONES = {
    "boat_cswin": PYRAMID | {"every.content_mixer.op.head_dim": 8},
    "boat_swin": PYRAMID | CLUSTERS,
    "cswin": PYRAMID,
    "cswin_384": PYRAMID,
    "deit": COLUMN,
    "deit_384": COLUMN,
    "deit_distilled": COLUMN,
    "localvit": COLUMN | {"every.feed_forward.op.channel_attention.reduction": 16},
    "pale": PYRAMID,
    "pvt": PYRAMID,
    "pvtv2": PYRAMID,
    "slide": PYRAMID,
    "swin": PYRAMID,
}
"""Recipe -> the widths and depths that its network has here; everything else is the recipe's."""

OVERLAYS = {"cswin_base": "cswin", "linear_probe": "deit"}
"""Overlay -> a recipe that it is laid over."""

DENSE: dict[str, dict[str, Any]] = {
    "ade20k_fpn_80k": {"head": {"pyramid_channels": 32, "channels": 32}},
    "ade20k_upernet_160k": {"head": {"channels": 32}, "auxiliary": {"channels": 32}},
    "coco_detr_50e": {"detector": {"channels": 32, "hidden": 64, "layers": 2, "short_side": [64], "long_side": 128}},
    "coco_maskrcnn_1x": {"detector": MASK_RCNN},
    "coco_maskrcnn_3x": {"detector": MASK_RCNN},
    "coco_retinanet_1x": {"detector": {"channels": 32, "short_side": [64], "long_side": 128}},
}
"""Recipe of segmentation or detection -> the widths of what reads the maps."""

IN_CI = ("deit_distilled", "deit_384", "linear_probe", "ade20k_upernet_160k", "coco_maskrcnn_1x")
"""One of each kind: averaged weights and a teacher; fine-tuning; a frozen backbone; an auxiliary head; objects."""


def test_every_recipe_is_among_them():
    recipes = {path.stem for path in RECIPES.glob("*.yaml")}
    assert {*BACKBONES, *OVERLAYS} == recipes
    assert set(DENSE) == {path.stem for path in OF_DENSE.glob("*.yaml")}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of images, of images with labels and of images with objects."""
    folder = tmp_path_factory.mktemp("data")
    write_images(folder / "images", train=6)
    splits = {"train": list("abcdefgh"), "val": ["x", "y"]}
    write_ade20k(folder / "ade20k", splits)
    write_coco(folder / "coco", splits)
    return folder


def overlay(name: str, data: Path) -> dict[str, Any]:
    """Return what is laid over a recipe: a narrow network, small data, and two steps of eight images on two CPU processes."""
    model, images, trainer = _dense(name, data) if name in DENSE else _classes(name, data)
    steps = {"check_val_every_n_epoch": 1, "log_every_n_steps": 1, "enable_progress_bar": False}
    return {
        "threads": 1,
        "model": {"global_batch": 8, **model},
        "data": {"batch_size": 2, "workers": 0, **images},
        "trainer": {"accelerator": "cpu", "devices": 2, **steps, **trainer},
    }


def _classes(name: str, data: Path) -> tuple[dict[str, Any], ...]:
    backbone = BACKBONES[OVERLAYS.get(name, name)]
    size = {"img_size": 64} if "stage1" not in backbone else {}
    model = {"backbone": {"num_classes": 3, **size, **backbone}}
    if name == "deit_distilled":
        model["distillation"] = {"teacher": TEACHER}
    return model, {"root": str(data / "images"), **size}, {"max_epochs": 1}


def _dense(name: str, data: Path) -> tuple[dict[str, Any], ...]:
    model: dict[str, Any] = {"num_classes": 3, "backbone": PYRAMID, **DENSE[name]}
    images: dict[str, Any] = {"root": str(data / "ade20k"), "num_classes": 3, "crop": 32, "shortest": 32, "longest": 64}
    if name.startswith("coco"):
        model["num_classes"] = 2
        images = {"root": str(data / "coco"), "num_classes": 2, "smallest_side": 0}
    # Torch synchronises batch norms on GPUs only.
    return model, images, {"max_epochs": 2, "max_steps": 2, "sync_batchnorm": False}


def words(name: str, data: Path, folder: Path) -> list[str]:
    """Return the words of ``vitcli fit`` for a recipe."""
    small = folder / f"{name}.yaml"
    small.write_text(yaml.safe_dump(overlay(name, data)))
    base = OVERLAYS.get(name)
    files = [OF_DENSE / f"{name}.yaml"] if name in DENSE else [RECIPES / f"{one}.yaml" for one in (base, name) if one]
    return [str(word) for file in (*files, small) for word in ("--config", file)] + ["--runs", str(folder / name)]


def check_trained(names: Iterable[str], data: Path, folder: Path) -> None:
    """Train recipes one after another in two processes, and check that each left one run of both."""
    trainings = {name: words(name, data, folder) for name in names}
    train_on_two(list(trainings.values()), folder / "log.txt")
    for name in trainings:
        (result,) = (folder / name).glob("*/fit*/result.json")
        content = json.loads(result.read_text())
        assert (content["status"], content["train_images"]) == ("done", 2 * 8), name
        assert content["provenance"]["training_notes"].startswith("8 images a step = 2 devices x 2 images"), name
        assert torch.load(result.with_name("last.ckpt"), weights_only=True)["global_step"] == 2, name


@pytest.mark.slow
def test_one_recipe_of_each_kind_trains_in_two_processes(data, tmp_path):
    check_trained(IN_CI, data, tmp_path)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_all_other_recipes_train_in_two_processes(data, tmp_path):
    missing = set() if find_spec("transformers") else {"coco_detr_50e"}  # whose detector is that of the package
    names = {*BACKBONES, *OVERLAYS, *DENSE} - {*IN_CI} - missing
    check_trained(sorted(names), data, tmp_path)

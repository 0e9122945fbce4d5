"""Every recipe states what its paper and public code state. The values below are typed from them, not read from the files."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch

from tests.cli.images import write_images
from tests.cli.tiny_ablation import LIGHTNING
from vitcli.ablation.planning.difference import flat
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import base_config, resolve
from vitcli.main import main

pytestmark = LIGHTNING

ROOT = Path(__file__).parents[3]
RECIPES = ROOT / "ablations" / "recipes"

AUGMENTATION = {
    "policy": "rand-m9-mstd0.5-inc1",
    "jitter": 0.4,
    "erasing": 0.25,
    "mixup": 0.8,
    "cutmix": 1.0,
    "mixed": 1.0,
    "switch": 0.5,
    "smoothing": 0.1,
    "interpolation": "bicubic",
    "crop": 0.875,
    "size": 224,
}
# Touvron et al., DeiT, Table 9, and the defaults of the public code; the first rate of the rise is the code's.
DEIT = AUGMENTATION | {
    "optimizer": "torch.optim.AdamW",
    "betas": [0.9, 0.999],
    "rate": 1e-3,  # 5e-4 x 1024 / 512
    "decay": 0.05,
    "undecayed": "vectors",
    "images": 1024,
    "devices": 8,
    "batch": 128,
    "epochs": 300,
    "rise": 5,
    "cool-down": 0,
    "first": 1e-6,
    "last": 1e-5,
    "repeats": 3,
    "drop path": 0.1,
    "clip": None,
    "average": 0.99996,
    # timm's scheduler counts the fall from the first step. The papers' mixed precision was float16; bfloat16 needs no scaling.
    "fall": "start",
    "precision": "bf16-mixed",
    "fused": True,
    "teacher": None,
}
# Wang et al., PVT, section 5.1 and the public code: DeiT's recipe without the average.
PVT = DEIT | {"average": None}
# Liu et al., Swin, appendix A2.1, and the defaults of the public code, which scales the first and last rate with the batch.
SWIN = DEIT | {"rise": 20, "repeats": 1, "clip": 5.0, "average": None, "drop path": 0.2}
# Dong et al., CSWin, section 4.1, and the commands of the public code's README; the code's defaults for the rest.
CSWIN = SWIN | {
    "rate": 2e-3,
    "images": 2048,
    "batch": 256,
    "epochs": 310,
    "cool-down": 10,
    "clip": None,
    "average": 0.99984,
    "interpolation": "random",
    "crop": 0.9,
}
CSWIN_BASE = CSWIN | {"rate": 1e-3, "images": 1024, "batch": 128, "decay": 0.1, "average": 0.99992, "drop path": 0.5}
# Epochs, image and batch are the Pale Transformer's; the rest was not available and follows CSWin at that batch.
PALE = SWIN | {"clip": None, "average": 0.99992}

# Touvron et al., DeiT, section 5.2: hard distillation, half of the loss.
DEIT_DISTILLED = DEIT | {"teacher": ("regnety_160", "hard", 0.5)}
# The command of DeiT's README for 384 pixels: 2 nodes of 8 devices with 32 images, and the code's rise of 5 epochs from 1e-6.
DEIT_384 = DEIT | {
    "rate": 5e-6,
    "decay": 1e-8,
    "images": 512,
    "batch": 32,
    "epochs": 30,
    "last": 5e-6,
    "size": 384,
}
# The command of CSWin's README for 384 pixels: 20 epochs and 10 at the last learning rate.
CSWIN_384 = CSWIN | {
    "rate": 5e-6,
    "decay": 1e-8,
    "images": 256,
    "batch": 32,
    "epochs": 30,
    "rise": 0,
    "first": 0.0,
    "last": 5e-7,
    "drop path": 0.7,
    "average": 0.9998,
    "mixup": 0.1,
    "cutmix": 0.1,
    "crop": 1.0,
    "size": 384,
}

TABLE = {
    "deit": {"deit_small": DEIT, "deit_tiny": DEIT, "deit_base": DEIT},
    # Li et al., LocalViT, section 4: DeiT's recipe, for all hosts.
    "localvit": {
        "localvit_tiny": DEIT,
        "localvit_small": DEIT,
        "localvit_pvt_tiny": DEIT,
        "localvit_swin_tiny": DEIT,
        "localvit_t2t": DEIT,
        "localvit_tnt_tiny": DEIT,
    },
    "pvt": {
        "pvt_small": PVT,
        "pvt_tiny": PVT,
        "pvt_medium": PVT | {"drop path": 0.3, "clip": 1.0},
        "pvt_large": PVT | {"drop path": 0.3, "clip": 1.0},
    },
    # Wang et al., PVT v2, section 4.1: as PVT; drop path and clipping from the public configurations.
    "pvtv2": {
        "pvtv2_b2": PVT,
        "pvtv2_b0": PVT,
        "pvtv2_b1": PVT,
        "pvtv2_b2_li": PVT,
        "pvtv2_b3": PVT | {"drop path": 0.3, "clip": 1.0},
        "pvtv2_b4": PVT | {"drop path": 0.3, "clip": 1.0},
        "pvtv2_b5": PVT | {"drop path": 0.3, "clip": 1.0},
    },
    "swin": {"swin_tiny": SWIN, "swin_small": SWIN | {"drop path": 0.3}, "swin_base": SWIN | {"drop path": 0.5}},
    # Pan et al., Slide-Transformer: Swin's recipe; drop path from the public configurations.
    "slide": {
        "slide_swin_tiny": SWIN,
        "slide_swin_small": SWIN | {"drop path": 0.3},
        "slide_swin_base": SWIN | {"drop path": 0.5},
    },
    # Yu et al., BOAT, section 4.1: the recipe of the host; drop path from the configurations of the code that is public.
    "boat_swin": {
        "boat_swin_tiny": SWIN,
        "boat_swin_small": SWIN | {"drop path": 0.3},
        "boat_swin_base": SWIN | {"drop path": 0.5},
    },
    "cswin": {"cswin_tiny": CSWIN, "cswin_small": CSWIN | {"drop path": 0.4}, "cswin_base": CSWIN_BASE},
    "boat_cswin": {
        "boat_cswin_tiny": CSWIN,
        "boat_cswin_small": CSWIN | {"drop path": 0.4},
        "boat_cswin_base": CSWIN_BASE,
    },
    "deit_distilled": {
        "deit_small_distilled": DEIT_DISTILLED,
        "deit_tiny_distilled": DEIT_DISTILLED,
        "deit_base_distilled": DEIT_DISTILLED,
    },
    "deit_384": {"deit_base": DEIT_384, "deit_base_distilled": DEIT_384},
    "cswin_384": {"cswin_base_384": CSWIN_384},
    "pale": {"pale_tiny": PALE, "pale_small": PALE | {"drop path": 0.4}, "pale_base": PALE | {"drop path": 0.5}},
}
OVERLAYS = ("cswin_base", "linear_probe")


def sizes(recipe):
    """Return preset -> what its recipe tells a user to add to the command."""
    text = (RECIPES / f"{recipe}.yaml").read_text()
    return {name: shlex.split(words) for name, words in re.findall(r"^# +(\w+): (--.+)$", text, re.MULTILINE)}


def resolved(recipe, more=()):
    words = ["--config", str(RECIPES / f"{recipe}.yaml"), "--data.root", "imagenet", *more]
    words = [str(ROOT / word) if word.startswith("ablations/") else word for word in words]
    return flat(resolve(base_config(parse_arguments(words)), "here"))


def stated(values):
    """Return the values that a paper's table has, of a resolved configuration."""
    epochs, rate = values["trainer.max_epochs"], values["model.optimizer.lr"]
    average = values["trainer.callbacks"]
    return {
        "optimizer": values["model.optimizer.class_path"],
        "betas": values["model.optimizer.betas"],
        "rate": rate,
        "decay": values["model.optimizer.weight_decay"],
        "undecayed": values["model.groups.undecayed"],
        "images": values["model.global_batch"],
        "devices": values["trainer.devices"],
        "batch": values["data.batch_size"],
        "epochs": epochs,
        "rise": pytest.approx(values["model.schedule.warmup"] * epochs),
        "cool-down": pytest.approx(values["model.schedule.cooldown"] * epochs),
        "first": pytest.approx(rate * values["model.schedule.start"]),
        "last": pytest.approx(rate * values["model.schedule.end"]),
        "repeats": values["data.repeats"],
        "drop path": values["model.backbone.drop_path_rate"],
        "clip": values["trainer.gradient_clip_val"],
        "average": average[0]["init_args"]["decay"] if average else None,
        "fall": values["model.schedule.fall_from"],
        "precision": values["trainer.precision"],
        "fused": values["model.optimizer.fused"],
        "teacher": values.get("model.distillation.kind")
        and (
            values["model.distillation.teacher.model_name"],
            values["model.distillation.kind"],
            values["model.distillation.weight"],
        ),
        "policy": values["data.auto_augment"],
        "jitter": values["data.color_jitter"],
        "erasing": values["data.re_prob"],
        "mixup": values["model.mixing.mixup"],
        "cutmix": values["model.mixing.cutmix"],
        "mixed": values["model.mixing.probability"],
        "switch": values["model.mixing.switch"],
        "smoothing": values["model.label_smoothing"],
        "interpolation": values["data.interpolation"],
        "crop": values["data.crop_pct"],
        "size": values["data.img_size"],
    }


def test_every_recipe_and_every_size_is_in_the_table():
    files = {path.stem for path in RECIPES.glob("*.yaml")} - set(OVERLAYS)
    assert files == set(TABLE)
    assert {recipe: list(sizes(recipe)) for recipe in files} == {recipe: [*TABLE[recipe]][1:] for recipe in files}


@pytest.mark.parametrize("recipe", TABLE)
def test_a_recipe_states_the_papers_values(recipe):
    expected, found = TABLE[recipe], sizes(recipe)
    for size in expected:
        values = resolved(recipe, found.get(size, ()))
        assert values["model.backbone.class_path"] == f"vitmodels.{size}"
        assert (values["model.backbone.num_classes"], values["model.backbone.img_size"]) == (
            1000,
            expected[size]["size"],
        )
        assert stated(values) == expected[size], size


def test_what_saves_memory_and_time_is_a_key_of_every_recipe():
    values = resolved(
        "deit", ["--model.compile", "default", "--model.activations", "recompute", "--model.schedule", "null"]
    )
    assert (values["model.compile"], values["model.activations"], values["model.schedule"]) == (
        "default",
        "recompute",
        None,
    )


TINY = [
    *(
        "--data.root",
        "images",
        "--data.batch_size",
        "4",
        "--data.workers",
        "0",
        "--threads",
        "1",
        "--model.global_batch",
        "8",
    ),
    *("--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.precision", "32"),
    *("--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1", "--trainer.log_every_n_steps", "1"),
    *("--trainer.enable_progress_bar", "false"),
]
"""Two steps of eight images, each of two batches."""


def tiny_fit(*words):
    """Train for two steps at a tiny size in the working directory; return what is recorded of the training."""
    assert main(["fit", *(str(word) for word in words), *TINY]) == 0
    last = max(Path("runs").glob("*/fit*/result.json"), key=lambda path: path.stat().st_mtime)
    return last.parent, json.loads(last.read_text())["provenance"]["training_notes"]


def backbone(model, img_size, **more):
    column = {"width": 16, "depth": 2, "stem.patch_size": 8, "every.mixer.op.head_dim": 8, "drop_path_rate": 0.1}
    return json.dumps({"class_path": f"vitmodels.{model}", "num_classes": 3, "img_size": img_size, **column, **more})


@pytest.mark.slow
def test_train_then_probe_distil_and_fine_tune_at_a_higher_resolution(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images", train=6)
    deit = ["--config", RECIPES / "deit.yaml", "--data.img_size", "32", "--model.backbone"]

    start, notes = tiny_fit(*deit, backbone("deit_tiny", 32))
    assert notes == "8 images a step = 1 device x 4 images x 2 accumulated batches"
    assert (
        "8 images a step = 1 device x 4 images x 2 accumulated batches, made for 8: learning rate 0.001" in caplog.text
    )
    trained = weights(start)

    probe, _ = tiny_fit(
        *deit[:2],
        "--config",
        RECIPES / "linear_probe.yaml",
        *deit[2:],
        backbone("deit_tiny", 32, pretrained=str(start)),
    )
    changed = {name for name, value in weights(probe).items() if not torch.equal(value, trained[name])}
    assert changed == {"backbone.head.weight", "backbone.head.bias"}

    teacher = json.dumps(
        {"class_path": "vittasks.Distillation", "teacher": json.loads(backbone("deit_tiny", 32, pretrained=str(start)))}
    )
    student, _ = tiny_fit(
        *deit, backbone("deit_tiny_distilled", 32), "--model.distillation", teacher, "--model.schedule", "null"
    )
    assert "backbone.distillation_head.weight" in weights(student)
    assert not [name for name in weights(student) if "teacher" in name]

    fine = ["--config", RECIPES / "deit_384.yaml", "--data.img_size", "64", "--model.backbone"]
    with pytest.warns(UserWarning, match="tables of positions were interpolated"):
        finer, _ = tiny_fit(*fine, backbone("deit_tiny", 64, pretrained=str(start)))
    assert trained["backbone.position.table"].shape == (1, 17, 16)
    assert weights(finer)["backbone.position.table"].shape == (1, 65, 16)


def weights(run):
    return torch.load(run / "last.ckpt", weights_only=True)["state_dict"]

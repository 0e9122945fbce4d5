"""Every recipe states what its paper and public code state. The values below are typed from them, not read from the files."""

import re
import shlex
from pathlib import Path

import pytest

from vitcli.ablation.difference import flat
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import base_config, resolve

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
# Epochs, image and batch are the Pale Transformer's; the rest could not be had and follows CSWin at that batch.
PALE = SWIN | {"clip": None, "average": 0.99992}

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
    "pale": {"pale_tiny": PALE, "pale_small": PALE | {"drop path": 0.4}, "pale_base": PALE | {"drop path": 0.5}},
}
OVERLAYS = ("cswin_base",)


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
        assert (values["model.backbone.num_classes"], values["model.backbone.img_size"]) == (1000, 224)
        assert stated(values) == expected[size], size


@pytest.mark.parametrize("recipe", TABLE)
def test_a_recipe_uses_what_the_papers_hardware_did_not_have(recipe):
    values = resolved(recipe)
    assert values["trainer.precision"] == "bf16-mixed"
    assert values["model.optimizer.fused"] is True
    # timm's scheduler and mmcv's count the fall from the first step.
    assert values["model.schedule.fall_from"] == "start"

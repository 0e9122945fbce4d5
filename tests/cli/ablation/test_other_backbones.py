"""Models of timm and torchvision as arms beside ours: planned, costed and trained like any other."""

import json

import pytest
import torch
from PIL import Image

from tests.cli.tiny_ablation import LIGHTNING, TRAINER, write
from vitcli.main import main

pytestmark = LIGHTNING

RESNET = {"class_path": "timm.models.resnet10t", "num_classes": 2}
TRANSFORMER = {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 1, "num_heads": 3}
BACKBONES = {
    "entry_point": RESNET,
    "factory": {"class_path": "timm.create_model", "model_name": "resnet10t", "drop_rate": 0.1},
    "unannotated": {"class_path": "timm.models.efficientvit_m0", "num_classes": 2},
    "constructor": {"class_path": "timm.models.VisionTransformer", "num_classes": 2, **TRANSFORMER},
    "torchvision": {"class_path": "torchvision.models.squeezenet1_1"},
    "linear_head": {"class_path": "torchvision.models.shufflenet_v2_x0_5", "num_classes": 2},
    "ours": {"class_path": "vitmodels.deit_tiny", "num_classes": 2, "img_size": 32, "width": 64, "depth": 1},
}


def images_of(folder):
    """The data of a file: four small images of two classes."""
    arguments = {"root": str(folder / "images"), "img_size": 32, "batch_size": 4, "workers": 0}
    return {"class_path": "vittasks.ImageFolder", **arguments}


def compared(backbones, folder, runs, baseline):
    """An ablation of one seed and one step: a small ResNet as the baseline, and these backbones."""
    return {
        "threads": 1,
        "runs": str(runs),
        "model": {"class_path": "vittasks.Classification", "backbone": RESNET},
        "data": images_of(folder),
        "trainer": TRAINER | {"limit_train_batches": 1},
        "ablation": {
            "baseline": baseline,
            "seeds": 1,
            "arms": {baseline: {}} | {name: {"model.backbone": given} for name, given in backbones.items()},
        },
    }


@pytest.fixture(scope="module")
def ablation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbones")
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (folder / "images" / split / name).mkdir(parents=True)
            for number in range(2):
                place = folder / "images" / split / name / f"{number}.png"
                Image.new("RGB", (32, 32), (40 * number, 90, 10)).save(place)
    others = {name: given for name, given in BACKBONES.items() if name != "entry_point"}
    return write(folder / "backbones.yaml", compared(others, folder, folder / "runs", baseline="entry_point")), folder


def parameters(backbone):
    """The parameters of a model that is built in Python."""
    import timm
    import torchvision

    made = {
        "entry_point": lambda: timm.models.resnet10t(num_classes=2),
        "factory": lambda: timm.create_model("resnet10t", num_classes=2),
        "unannotated": lambda: timm.models.efficientvit_m0(num_classes=2),
        "constructor": lambda: timm.models.VisionTransformer(num_classes=2, **TRANSFORMER),
        "torchvision": lambda: torchvision.models.squeezenet1_1(num_classes=2),
        "linear_head": lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=2),
    }[backbone]
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in made().parameters())


@pytest.mark.slow
def test_every_arm_trains(ablation):
    path, folder = ablation
    assert main(["fit", "--config", path]) == 0
    for name in BACKBONES:
        (found,) = folder.glob(f"runs/*/{name}/seed0/result.json")
        result = json.loads(found.read_text())
        assert (result["status"], set(result["metrics"])) == ("done", {"test/loss", "test/acc1"})


def test_a_plan_counts_every_arm(ablation, capsys):
    path, _ = ablation
    assert main(["plan", path]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.strip()}
    for name in BACKBONES:
        counted = [word for word in lines[name] if "," in word or word.isdigit()]
        if name != "ours":
            assert counted[0] == f"{parameters(name):,}"


TRANSFORMERS = {
    "directly": {
        "class_path": "transformers.PvtV2ForImageClassification",
        "config": {
            "id2label": {0: "cat", 1: "dog"},
            "hidden_sizes": [8, 16, 24, 32],
            "num_attention_heads": [1, 1, 1, 1],
            "depths": [1, 1, 1, 1],
        },
    },
    "through_timm": {
        "class_path": "transformers.TimmWrapperForImageClassification",
        "config": {
            "id2label": {0: "cat", 1: "dog"},
            "architecture": "localvit_tiny",
            "model_args": {"img_size": 32, "depth": 1},
        },
    },
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_models_of_transformers_are_arms_and_their_runs_are_used_as_others(ablation, tmp_path):
    pytest.importorskip("transformers")
    _, folder = ablation
    content = compared(TRANSFORMERS, folder, tmp_path / "runs", baseline="resnet")
    path = write(tmp_path / "transformers.yaml", content)
    assert main(["fit", "--config", path]) == 0
    run = str(tmp_path / "runs/transformers/directly/seed0")
    photos = str(folder / "images/val")
    assert main(["predict", run, photos, "--out", str(tmp_path / "found")]) == 0
    assert len((tmp_path / "found/predictions.csv").read_text().splitlines()) == 1 + 4
    assert main(["test", run, "--img_size", "48"]) == 0
    assert main(["export", run, "--format", "safetensors", "--out", str(tmp_path / "weights.safetensors")]) == 0


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ({**RESNET, "num_classes": 7}, "set model.backbone.num_classes=2"),
        ({**RESNET, "num_clases": 2}, "unexpected keyword argument 'num_clases'"),
        (
            {"class_path": "timm.create_model", "model_name": "resnet_ten", "num_classes": 2},
            "Unknown model (resnet_ten)",
        ),
        ({"class_path": "torchvision.models.list_models"}, "which makes no torch.nn.Module"),
    ],
)
def test_a_mistake_is_one_sentence(ablation, backbone, message, tmp_path, capsys):
    _, folder = ablation
    content = {
        "model": {"class_path": "vittasks.Classification", "backbone": backbone},
        "data": images_of(folder),
        "trainer": TRAINER,
        "ablation": {"baseline": "a", "arms": {"a": {}}},
    }
    assert main(["plan", write(tmp_path / "bad.yaml", content)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_the_spelling_of_lightning_for_other_arguments_means_the_same(ablation, tmp_path, capsys):
    _, folder = ablation
    spelled = {"class_path": RESNET["class_path"], "init_args": {}, "dict_kwargs": {"num_classes": 2}}
    content = {
        "model": {"class_path": "vittasks.Classification", "backbone": spelled},
        "data": images_of(folder),
    }
    assert main(["fit", "--config", write(tmp_path / "a.yaml", content), "--print_config"]) == 0
    assert "num_classes: 2" in capsys.readouterr().out

"""``vitcli export``: what is written computes the same without this project, and knows its classes and its input."""

import json
import subprocess
import sys

import onnxruntime
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from timm.models.fastvit import MobileOneBlock
from torch import nn

import vitcli
from tests.cli.images import write_images
from tests.cli.tiny_ablation import LIGHTNING, PLAIN, TRAINER, write
from vitcli.main import main
from vitcli.trained.graphs import merged
from vitcore import LocalityFeedForward, SlideAttention

pytestmark = LIGHTNING

IMAGES = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def logits(folders_run):
    with torch.no_grad():
        return vitcli.load_run(folders_run).model(IMAGES)


def exported(run, form, path, *words):
    assert main(["export", str(run), "--format", form, "--out", str(path), *words]) == 0
    return path


def test_onnxruntime_computes_the_same_for_any_number_of_images(folders_run, logits, tmp_path, capsys):
    path = exported(folders_run, "onnx", tmp_path / "flowers.onnx")
    assert [one.name for one in tmp_path.iterdir()] == ["flowers.onnx"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        (found,) = session.run(["logits"], {"image": IMAGES[:count].numpy()})
        torch.testing.assert_close(torch.from_numpy(found), logits[:count], rtol=0, atol=1e-4)
    assert json.loads(session.get_modelmeta().custom_metadata_map["description"]) == {
        "input_size": [3, 32, 32],
        "class_names": ["blue", "green", "red"],
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "crop_pct": 0.875,
        "interpolation": "bicubic",
    }
    assert "of the largest." in capsys.readouterr().out


@pytest.mark.slow
def test_an_exported_program_needs_no_code_of_this_project(folders_run, logits, tmp_path):
    path = exported(folders_run, "torch_export", tmp_path / "flowers")  # whatever its ending
    torch.save((IMAGES, logits), tmp_path / "expected.pt")
    code = (
        "import json, sys, torch; extra = {'description': ''}; "
        f"program = torch.export.load({str(path)!r}, extra_files=extra).module(); "
        f"images, logits = torch.load({str(tmp_path / 'expected.pt')!r}); "
        "torch.testing.assert_close(program(images), logits); print(json.loads(extra['description'])['class_names']); "
        "print({'vitcore', 'vitmodels', 'vitcli'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["['blue', 'green', 'red']", "set()"]


def test_safetensors_hold_the_weights_under_the_names_of_the_model(folders_run, tmp_path):
    path = exported(folders_run, "safetensors", tmp_path / "flowers.safetensors", "--weights", "last")
    state = vitcli.load_run(folders_run, "last").model.state_dict()
    read = load_file(path)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], value) for name, value in state.items())
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["description"])["class_names"] == ["blue", "green", "red"]


def test_timm_opens_a_model_of_this_project_once_its_package_is_imported(folders_run, logits, tmp_path):
    path = exported(folders_run, "timm", tmp_path / "flowers")
    model = timm.create_model(f"local-dir:{path}", pretrained=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(IMAGES), logits)
    config = json.loads((path / "config.json").read_text())
    assert (config["architecture"], config["num_classes"]) == ("localvit_tiny", 3)
    assert config["label_names"] == ["blue", "green", "red"]
    assert config["pretrained_cfg"]["input_size"] == [3, 32, 32]
    assert config["pretrained_cfg"]["crop_pct"] == 0.875


@pytest.mark.slow
def test_timm_opens_its_own_model_without_this_project(tmp_path):
    write_images(tmp_path / "images", train=2, val=1)
    data = {"root": str(tmp_path / "images"), "img_size": 32, "batch_size": 2, "workers": 0}
    config = write(
        tmp_path / "resnet.yaml",
        PLAIN,
        model={"class_path": "vittasks.Classification", "init_args": {"backbone": f"{__name__}.resnet"}},
        data={"class_path": "vittasks.ImageFolder", **data},
        trainer=TRAINER,
        runs=str(tmp_path / "runs"),
    )
    assert main(["fit", "--config", config]) == 0
    run = vitcli.load_run(tmp_path / "runs" / "resnet" / "fit0")
    path = exported(run.directory, "timm", tmp_path / "flowers")
    torch.save((IMAGES, run.model(IMAGES).detach()), tmp_path / "expected.pt")
    code = (
        f"import sys, timm, torch; model = timm.create_model({f'local-dir:{path}'!r}, pretrained=True).eval(); "
        f"images, logits = torch.load({str(tmp_path / 'expected.pt')!r}); "
        "torch.testing.assert_close(model(images).detach(), logits); print(model.pretrained_cfg['label_names'], "
        "tuple(model.pretrained_cfg['mean']), {'vitcore', 'vitmodels', 'vitcli'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "['blue', 'green', 'red'] (0.485, 0.456, 0.406) set()\n"


def resnet() -> torch.nn.Module:
    """A model of timm's, as somebody else's function makes it."""
    return timm.create_model("test_resnet", num_classes=3)


def test_shifts_that_were_trained_apart_are_merged():
    op = SlideAttention(16, head_dim=8)
    grid = torch.randn(1, 6, 5, 16)
    one = merged(op)
    assert (op.shift.kind, one.shift.kind) == ("both", "learned")
    torch.testing.assert_close(one(grid), op(grid))


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        (LocalityFeedForward(8), (2, 9, 9, 8)),
        (nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), (2, 8, 9, 9)),
        (nn.ModuleList([MobileOneBlock(8, 8, 3)]), (2, 8, 9, 9)),
    ],
    ids=["ours", "layers", "timm's branches"],
)
def test_batch_norms_behind_convolutions_and_what_timm_merges_are_merged(part, shape):
    def applied(module, images):
        return module[0](images) if isinstance(module, nn.ModuleList) else module(images)

    with torch.no_grad():
        applied(part.train(), torch.randn(shape))  # statistics
        images = torch.randn(shape)
        expected, one = applied(part.eval(), images), merged(part)
        torch.testing.assert_close(applied(one, images), expected, rtol=1e-4, atol=1e-5)
    assert not [module for module in one.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [module for module in part.modules() if isinstance(module, nn.BatchNorm2d)], "the run's own stays as it is"


def test_a_file_that_computes_something_else_is_not_kept(folders_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "vitcli.trained.weight_files.load_file", lambda path: {k: 2 * v for k, v in load_file(path).items()}
    )
    assert main(["export", str(folders_run), "--format", "safetensors", "--out", str(tmp_path / "x.safetensors")]) == 1
    assert "nothing is written, since the logits of the file differ from those of the run by" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_the_extra_that_installs_it(folders_run, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", str(folders_run), "--format", "onnx", "--out", str(tmp_path / "x.onnx")]) == 2
    message = "export --format onnx needs onnxscript, which the extra 'export' installs: pip install 'vitcore[export]'."
    assert capsys.readouterr().err == f"vitcli: {message}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN"], "export needs one run and --format onnx, torch_export, safetensors, timm, for example"),
        (["--format", "onnx"], "export needs one run"),
        (["RUN", "--format", "tflite"], "--format is 'tflite'; expected onnx, torch_export, safetensors, timm."),
        (["RUN", "--format", "timm", "--ot", "x"], "export has no option '--ot'; did you mean --out?"),
        (["RUN", "--format", "safetensors", "--out", "RUN/last.ckpt"], "this exists already"),
        (["RUN", "--format", "safetensors", "--out", "RUN/last.ckpt/x"], "the file cannot be written"),
    ],
)
def test_bad_input_is_one_sentence(words, message, folders_run, capsys):
    assert main(["export", *(word.replace("RUN", str(folders_run)) for word in words)]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1

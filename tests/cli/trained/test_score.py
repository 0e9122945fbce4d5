"""``vitcli test RUN``: the test set again, by the run's protocol or another, with the throughput of the model."""

import json

import pytest
import torch
from torch import nn

from tests.cli.images import write_images
from tests.cli.tiny_ablation import LIGHTNING, PLAIN, write
from vitcli import load_run
from vitcli.main import main
from vitcli.trained.score import load_at_size

pytestmark = LIGHTNING


def newest(run):
    return json.loads(max(run.glob("test*.json"), key=lambda path: path.stat().st_mtime_ns).read_text())


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / "images")
    return str(tmp_path / "images")


def test_a_run_scores_as_it_did_after_its_training_and_says_how_fast_it_is(digits_run, capsys):
    assert main(["test", str(digits_run)]) == 0
    record = newest(digits_run)
    result = json.loads((digits_run / "result.json").read_text())
    assert record["metrics"] == pytest.approx(result["metrics"], abs=1e-9)
    assert record["changes"] == {}
    assert record["speed"]["inference_images_per_second"] > 0
    assert record["conditions"]["batch_size"] == 64
    message = capsys.readouterr().out
    assert f"test/acc1: {result['metrics']['test/acc1']:.4f}" in message
    assert f"Protocol: that of the run. Written to {digits_run / 'test0.json'}" in message


def test_another_size_weights_and_crop_are_another_protocol(folders_run, images):
    words = ["--data.root", images, "--img_size", "48", "--weights", "last", "--data.crop_pct", "1.0"]
    assert main(["test", str(folders_run), *words]) == 0
    changes = newest(folders_run)["changes"]
    assert changes.pop("data.root") == images
    assert changes == {"weights": "last", "data.img_size": 48, "model.backbone.img_size": 48, "data.crop_pct": 1.0}


@pytest.mark.slow
def test_a_model_of_timm_takes_another_size_as_timm_does(images, tmp_path):
    small = {"patch_size": 8, "embed_dim": 12, "depth": 1, "num_heads": 3}
    backbone = {"class_path": "timm.models.VisionTransformer", "num_classes": 3, "img_size": 32, **small}
    data = {"class_path": "vittasks.ImageFolder", "root": images, "img_size": 32, "batch_size": 4, "workers": 0}
    model = {"class_path": "vittasks.Classification", "backbone": backbone}
    path = write(tmp_path / "timm.yaml", PLAIN, model=model, data=data, runs=str(tmp_path / "runs"))
    assert main(["fit", "--config", path]) == 0
    run = tmp_path / "runs" / "timm" / "fit0"
    assert main(["test", str(run), "--img_size", "64"]) == 0
    assert newest(run)["changes"] == {"data.img_size": 64}

    larger, table = load_at_size(str(run), None, 64, {})[0].network, load_run(run).network.pos_embed
    grid = table[:, 1:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
    expected = nn.functional.interpolate(grid, (8, 8), mode="bicubic", antialias=True)
    torch.testing.assert_close(larger.pos_embed[:, 1:], expected.permute(0, 2, 3, 1).flatten(1, 2))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no folder"),
        (["--data.crop_pc", "1.0"], "data.crop_pc has no entry 'crop_pc' in data; did you mean crop_pct?"),
        (["--weights", "best"], "--weights is 'best'; expected ema, last."),
        (["--img_size", "large"], "data.img_size is 'large'; expected int."),
        (["--config", "x.yaml"], "not both."),
    ],
)
def test_bad_input_is_one_sentence(words, message, folders_run, capsys):
    assert main(["test", str(folders_run), *words]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.splitlines()[-1].startswith("vitcli: ")

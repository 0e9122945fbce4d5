"""``vitcli test RUN``: the test set again, by the run's protocol or another, with the throughput of the model."""

import json

import pytest

from tests.cli.images import write_images
from tests.cli.tiny_ablation import LIGHTNING
from vitcli.main import main

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
    said = capsys.readouterr().out
    assert f"test/acc1: {result['metrics']['test/acc1']:.4f}" in said
    assert f"Protocol: that of the run. Written to {digits_run / 'test0.json'}" in said


def test_another_size_weights_and_crop_are_another_protocol(folders_run, images):
    words = ["--data.root", images, "--img_size", "48", "--weights", "last", "--data.crop_pct", "1.0"]
    assert main(["test", str(folders_run), *words]) == 0
    changes = newest(folders_run)["changes"]
    assert changes.pop("data.root") == images
    assert changes == {"weights": "last", "data.img_size": 48, "model.backbone.img_size": 48, "data.crop_pct": 1.0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no folder"),
        (["--data.crop_pc", "1.0"], "data.crop_pc has no entry 'crop_pc' in data; did you mean crop_pct?"),
        (["--weights", "best"], "--weights is 'best'; expected ema, last."),
        (["--img_size", "large"], "data.img_size is 'large'; expected int."),
        (["--config", "x.yaml"], "not both."),
    ],
)
def test_bad_input_is_one_sentence(words, said, folders_run, capsys):
    assert main(["test", str(folders_run), *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.splitlines()[-1].startswith("vitcli: ")

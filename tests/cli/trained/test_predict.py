"""``vitcli predict RUN IMAGE...``: names and probabilities as files; damaged images are named and left out."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

import vitcli
from tests.cli.images import write_images
from tests.cli.tiny_ablation import LIGHTNING
from vitcli.main import main
from vitcli.trained.contact_sheet import shortened

pytestmark = LIGHTNING


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six images in folders, and what does not belong to them."""
    root = tmp_path_factory.mktemp("photos")
    write_images(root, train=1, val=1)
    (root / "notes.txt").write_text("not an image")
    (root / ".cache").mkdir()
    Image.new("RGB", (9, 9)).save(root / ".cache" / "thumbnail.jpg")
    return root


def predictions(folder):
    return json.loads((folder / "predictions.json").read_text())


def test_images_of_folders_get_names_and_probabilities(folders_run, photos, tmp_path, capsys):
    assert main(["predict", str(folders_run), str(photos), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"Predictions of 6 images: {tmp_path / 'out'}\n"
    found = predictions(tmp_path / "out")
    assert [one["image"] for one in found["predictions"]] == sorted(map(str, photos.rglob("0.jpg")))
    for one in found["predictions"]:
        values = [entry["probability"] for entry in one["top"]]
        assert {entry["class"] for entry in one["top"]} == {"blue", "green", "red"}
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1)
    with (tmp_path / "out" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class1"] for row in rows] == [one["top"][0]["class"] for one in found["predictions"]]
    assert float(rows[0]["probability3"]) == pytest.approx(found["predictions"][0]["top"][2]["probability"], abs=1e-6)
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.size == (6 * 160, 182)


def test_the_probabilities_are_those_of_the_runs_own_evaluation(folders_run, photos, tmp_path):
    run = vitcli.load_run(folders_run, overrides={"data.root": str(photos)})
    run.data.setup("predict")
    expected = torch.cat([run.task.predict_step(batch, 0) for batch in run.data.predict_dataloader()])
    assert main(["predict", str(folders_run), str(photos / "val"), "--out", str(tmp_path)]) == 0
    for row, one in zip(expected.tolist(), predictions(tmp_path)["predictions"], strict=True):
        named = dict(zip(run.class_names, row, strict=True))
        assert {entry["class"]: entry["probability"] for entry in one["top"]} == pytest.approx(named, abs=1e-6)


def test_of_many_classes_five_are_named_and_any_image_becomes_an_input(digits_run, tmp_path):
    Image.new("RGBA", (90, 30), "white").save(tmp_path / "wide.png")
    assert main(["predict", str(digits_run), str(tmp_path / "wide.png"), f"--out={tmp_path / 'out'}"]) == 0
    (one,) = predictions(tmp_path / "out")["predictions"]
    assert len(one["top"]) == 5
    assert all(entry["class"] in "0123456789" for entry in one["top"])


def test_damaged_images_are_named_and_left_out(folders_run, photos, tmp_path, capsys):
    whole = photos / "val" / "red" / "0.jpg"
    cut, empty = tmp_path / "cut.jpg", tmp_path / "empty.png"
    cut.write_bytes(whole.read_bytes()[:300])
    empty.write_bytes(b"")
    assert main(["predict", str(folders_run), str(tmp_path), str(whole), "--out", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert [line.partition(": left out")[0] for line in message.splitlines()] == [f"vitcli: {cut}", f"vitcli: {empty}"]
    found = predictions(tmp_path / "out")
    assert [one["image"] for one in found["predictions"]] == [str(whole)]
    assert [one["image"] for one in found["unreadable"]] == [str(cut), str(empty)]


def test_averaged_weights_and_those_of_the_last_step_predict_differently(folders_run, photos, tmp_path):
    for weights in ("ema", "last"):
        words = [str(photos / "val"), "--out", str(tmp_path / weights), "--weights", weights]
        assert main(["predict", str(folders_run), *words]) == 0
    assert predictions(tmp_path / "ema")["predictions"] != predictions(tmp_path / "last")["predictions"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "PHOTOS"], "predict needs a run, images or folders of images, and --out DIR"),
        (["RUN", "--out", "DIR"], "predict needs a run, images or folders of images, and --out DIR"),
        (["RUN", "PHOTOS", "--out"], "--out has no value; write --out VALUE or --out=VALUE."),
        (["RUN", "PHOTOS", "--ou", "DIR"], "predict has no option '--ou'; did you mean --out?"),
        (["RUN", "PHOTOS", "--out", "DIR", "--weights", "best"], "--weights is 'best'; expected ema, last."),
        (["RUN", "nothing.jpg", "--out", "DIR"], "there is no image or folder 'nothing.jpg'."),
        (["RUN", "DIR", "--out", "DIR"], "holds no image"),
        (["PHOTOS", "PHOTOS", "--out", "DIR"], "there is no config.yaml here"),
        (["RUN", "PHOTOS", "--out", "RUN/config.yaml"], "the predictions cannot be written"),
    ],
)
def test_bad_input_is_one_sentence(words, message, folders_run, photos, tmp_path, capsys):
    places = {"RUN": str(folders_run), "PHOTOS": str(photos), "DIR": str(tmp_path)}
    assert main(["predict", *(places.get(word, word.replace("RUN", places["RUN"])) for word in words)]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_a_long_caption_keeps_its_probability():
    font = ImageFont.load_default(12)
    text = shortened(f"{'long ' * 20}name 0.93", 100, font)
    assert text.endswith("… 0.93")
    assert font.getlength(text) <= 100
    assert shortened("cat 0.93", 100, font) == "cat 0.93"


def test_an_image_of_16_bits_looks_like_its_copy_of_8(folders_run, tmp_path):
    gray = np.linspace(0, 255, 40 * 40).reshape(40, 40)
    Image.fromarray(gray.astype(np.uint8)).save(tmp_path / "8.png")
    Image.fromarray((gray * 257).astype(np.uint16)).save(tmp_path / "16.png")
    assert main(["predict", str(folders_run), str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    tops = [
        {entry["class"]: entry["probability"] for entry in one["top"]}
        for one in predictions(tmp_path / "out")["predictions"]
    ]
    assert tops[0] == pytest.approx(tops[1], abs=0.01)

"""Trials of data that have changed since are not done: they are set aside and run again, and a sentence says so."""

import json

import pytest
from PIL import Image

from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, write
from vitcli.ablation.planning.checks.data import with_fingerprints
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.state import is_begun, is_done, is_failed, make_room, what_changed
from vitcli.config.command_line import parse_arguments
from vitcli.records.json_files import write_json

pytestmark = LIGHTNING


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A tree of images beside an ablation that is trained on them."""
    monkeypatch.chdir(tmp_path)
    for folder in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "images" / folder / "0.png")
    backbone = PLAIN["model"]["init_args"]["backbone"] | {"num_classes": 2, "in_chans": 3}
    model = {**PLAIN["model"], "init_args": {"backbone": backbone}}
    data = {"class_path": "vittasks.ImageFolder", "root": "images", "img_size": 32, "batch_size": 2, "workers": 0}
    write(tmp_path / "arms.yaml", PLAIN, model=model, data=data, ablation=ABLATION | {"metric": "test/loss"})
    return tmp_path / "images"


def plan():
    return with_fingerprints(make_plan(parse_arguments(["--config", "arms.yaml"])))


def leave(plan, arm, **outcome):
    """Leave a trial as it ends."""
    place = plan.trial_directory(arm, 0)
    place.mkdir(parents=True)
    write_json(place / "trial.json", {"id": plan.arms[arm].id, "data": plan.arms[arm].data, "starts": [0]})
    write_json(place / "result.json", {"format": 1, "arm": arm, "seed": 0, "id": plan.arms[arm].id, **outcome})


def test_a_trial_of_other_data_is_neither_done_nor_failed(root):
    first = plan()
    assert first.arms["plain"].data == first.arms["gelu"].data is not None
    leave(first, "plain", status="done", metrics={"test/loss": 1.0})
    leave(first, "gelu", status="failed", cause="no")
    assert (is_done(first, "plain", 0), is_failed(first, "gelu", 0)) == (True, True)
    Image.new("RGB", (32, 32)).save(root / "train" / "cat" / "1.png")
    second = plan()
    assert second.arms["plain"].id == first.arms["plain"].id
    assert (is_done(second, "plain", 0), is_failed(second, "gelu", 0)) == (False, False)
    assert what_changed(second, [("plain", 0), ("plain", 1)]) == [
        "The data have changed since 1 trial of plain ended: they run again, and their old directories are moved to "
        "runs/arms/.superseded."
    ]
    make_room(second, "plain", 0)
    aside = second.directory / ".superseded" / "plain" / "seed0.1" / "result.json"
    assert json.loads(aside.read_text())["metrics"] == {"test/loss": 1.0}
    assert not is_begun(second, "plain")


def test_what_is_not_known_of_the_data_is_not_compared(root):
    first = plan()
    leave(first, "plain", status="done", metrics={"test/loss": 1.0})
    quick = make_plan(parse_arguments(["--config", "arms.yaml"]))
    assert quick.arms["plain"].data is None
    assert is_done(quick, "plain", 0)
    (first.trial_directory("plain", 0) / "trial.json").unlink()
    assert is_done(first, "plain", 0)

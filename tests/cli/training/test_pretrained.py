"""``model.backbone.pretrained``: a training starts from a file of weights, named in YAML or on the command line."""

import json
from pathlib import Path

import pytest
import torch
import yaml

import vitmodels
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, write
from vitcli.ablation.planning.identity import identity
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.config.command_line import parse_arguments
from vitcli.config.lightning_cli import without_start
from vitcli.main import main
from vitcli.training.starting_weights import starting_weights
from vitmodels import part, read_checkpoint

pytestmark = LIGHTNING

PRETRAINED = "model.backbone.pretrained"
SMALL = {
    "num_classes": 7,
    "in_chans": 3,
    "img_size": 32,
    "width": 16,
    "depth": 3,
    "stem": {"init_args": {"patch_size": 8}},
    **{
        f"stage{i}": {
            "mixer": {"op": {"init_args": {"head_dim": 8}}},
            "feed_forward": {"op": {"init_args": {"channel_attention": {"init_args": {"reduction": 16}}}}},
        }
        for i in (1, 2, 3)
    },
}
"""The small model of the tests, for three channels and seven classes."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file as others write it: wrapped, under a prefix, for another number of classes and channels."""
    import timm

    torch.manual_seed(1)
    state = timm.create_model("localvit_tiny", **SMALL).state_dict()
    path = tmp_path_factory.mktemp("public") / "weights.pth"
    torch.save({"net": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}, path)
    return path


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """Return a function: train a plain run with these options in a directory of its own; return exit code and run."""
    monkeypatch.chdir(tmp_path)
    config = write(tmp_path / "run.yaml", PLAIN)

    def run(*options):
        code = main(["fit", "--config", config, *options])
        return code, Path("runs/run/fit0")

    return run


def test_a_training_starts_from_a_public_file_and_another_from_that_training(fit, weights, caplog, tmp_path):
    code, run = fit(f"--{PRETRAINED}", str(weights), "--trainer.max_epochs", "1")
    assert code == 0
    expected = "the first convolution is adapted from 3 channels to 1; the head is new (10 classes; the file has 7)"
    assert f"localvit_tiny: weights from {weights}; {expected}." in caplog.messages
    trained = read_checkpoint(run)
    public = read_checkpoint(weights)
    assert trained["blocks.2.mixer.op.qkv.weight"].sub(public["blocks.2.mixer.op.qkv.weight"]).abs().max() < 0.02

    config = yaml.safe_load((run / "config.yaml").read_text())
    backbone = config["model"]["init_args"]["backbone"]["init_args"]
    assert backbone["pretrained"] == str(weights)
    again = vitmodels.localvit_tiny(**{**backbone, "pretrained": str(run), "num_classes": 4})
    changed = {name for name, value in again.state_dict().items() if not value.equal(trained.get(name, torch.zeros(0)))}
    assert changed == {"head.weight", "head.bias"}

    weights_then = weights.rename(tmp_path / "gone.pth")
    try:
        checkpoint = str(run / "last.ckpt")
        assert main(["test", "--config", str(run / "config.yaml"), "--ckpt_path", checkpoint]) == 0, (
            "the file may be gone"
        )
    finally:
        weights_then.rename(weights)


def test_a_missing_file_is_found_before_anything_runs(fit, capsys):
    code, run = fit(f"--{PRETRAINED}", "nowhere.pth")
    assert code == 2
    assert "There is no file 'nowhere.pth', seen from '" in capsys.readouterr().err
    assert not run.exists()


def test_a_file_that_does_not_fit_is_refused_in_ten_lines(fit, weights, capsys):
    code, run = fit(f"--{PRETRAINED}", str(weights), "--model.backbone.width", "32")
    assert code == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.endswith(f"{weights} does not fit localvit_tiny:")
    assert "  prefix, shape (1, 1, 16), expected (1, 1, 32)" in lines
    assert len(lines) <= 9
    assert not run.exists()


@pytest.mark.parametrize("command", ["fit", "test"])
def test_weights_in_place_of_a_checkpoint_are_recognised(command, fit, weights, tmp_path, capsys):
    page = tmp_path / "page.ckpt"
    page.write_text("<!DOCTYPE html><html></html>")
    for path, message in (
        (weights, f"holds no training, at most weights; a training starts from weights with --{PRETRAINED} {weights}"),
        (page, "is not a checkpoint but an HTML page"),
    ):
        assert main([command, "--config", "run.yaml", "--ckpt_path", str(path)]) == 2
        assert message in capsys.readouterr().err


def identities(tmp_path, **arms):
    """The identities of arms that start from files, by the plan of an ablation."""
    section = {**ABLATION, "arms": {"plain": {}, **{arm: {PRETRAINED: str(path)} for arm, path in arms.items()}}}
    config = write(tmp_path / "abl.yaml", PLAIN, ablation=section)
    return {name: arm.id for name, arm in make_plan(parse_arguments(["--config", config])).arms.items()}


def test_a_file_is_part_of_an_arms_identity_by_its_content(weights, tmp_path, monkeypatch):
    first = identities(tmp_path, public=weights)
    assert first["public"] != first["plain"]
    copied = tmp_path / "copied.pth"
    copied.write_bytes(weights.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert identities(tmp_path, public="copied.pth") == first, "wherever it lies"
    torch.save({name: value + 1 for name, value in read_checkpoint(weights).items()}, copied)
    changed = identities(tmp_path, public=copied)
    assert (changed["plain"], changed["public"] != first["public"]) == (first["plain"], True)


def test_a_plan_checks_every_arms_file(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arms = {"plain": {}, "public": {PRETRAINED: str(weights)}, "wrong": {PRETRAINED: "~/nowhere.pth"}}
    config = write(tmp_path / "abl.yaml", PLAIN, ablation={**ABLATION, "arms": arms})
    assert main(["plan", config]) == 2
    assert "nowhere.pth'" in capsys.readouterr().err
    del arms["wrong"]
    config = write(tmp_path / "abl.yaml", PLAIN, ablation={**ABLATION, "arms": arms})
    assert main(["plan", config, "--format", "json"]) == 0
    captured = capsys.readouterr()
    (public,) = [arm for arm in json.loads(captured.out)["arms"] if arm["name"] == "public"]
    assert public["difference"] == {PRETRAINED: [None, str(weights)]}
    assert not captured.err, "nothing is loaded by a plan"


WAYS = {
    "ours": lambda file: part("vitmodels.localvit_tiny", pretrained=file),
    "by name": lambda file: part("vitmodels.load_checkpoint", name="localvit_tiny", path=file),
    "timm's overlay": lambda file: part(
        "timm.create_model", model_name="localvit_tiny", pretrained=True, pretrained_cfg_overlay={"file": file}
    ),
    "timm's checkpoint": lambda file: part("timm.create_model", model_name="resnet10t", checkpoint_path=file),
}


@pytest.mark.parametrize("way", WAYS)
def test_however_a_file_is_named_it_counts_by_its_content_and_is_not_needed_later(way, tmp_path):
    files = [tmp_path / name for name in ("first.pth", "copy.pth", "other.pth")]
    for file, content in zip(files, (b"first", b"first", b"other"), strict=True):
        file.write_bytes(content)
    configs = [{"model": part("vittasks.Classification", backbone=WAYS[way](str(file)))} for file in files]
    first, copied, other = (identity(config) for config in configs)
    assert (first == copied, first == other) == (True, False)
    assert [one["file"] for one in starting_weights(configs[0])] == [str(files[0])]
    backbone = without_start(configs[0])["model"]["init_args"]["backbone"]["init_args"]
    assert backbone.get("pretrained") in (False, None)
    assert backbone.get("path") is backbone.get("checkpoint_path") is None


def test_a_checkpoint_of_a_whole_dense_network_counts_by_its_content_and_is_not_needed_later(tmp_path):
    files = [tmp_path / name for name in ("first.pth", "other.pth")]
    for file in files:
        file.write_bytes(file.name.encode())
    backbone = part("vitmodels.pvt_tiny", pretrained=None)
    first, other, without = (
        {"model": part("vittasks.Segmentation", backbone=backbone, pretrained=file)}
        for file in (*map(str, files), None)
    )
    assert len({identity(config) for config in (first, other, without)}) == 3
    assert [one["file"] for one in starting_weights(first)] == [str(files[0])]
    assert without_start(first)["model"]["init_args"]["pretrained"] is None
    bare = {"model": part("vittasks.Segmentation", backbone=backbone)}
    assert identity(bare) == identity(without)

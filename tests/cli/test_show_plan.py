"""``vitcli plan``: what would run, told without running it."""

import json

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, GATE, LIGHTNING, PLAIN, write
from vitcli.main import main

pytestmark = LIGHTNING

NO_GATE = "torch.nn.Identity"


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)


def test_the_plan_names_arms_costs_differences_and_trials_and_writes_nothing(path, tmp_path, capsys):
    assert main(["plan", path]) == 0
    out = capsys.readouterr().out
    assert "plain (baseline)" in out
    assert "activation: Hardswish(inplace=false) -> GELU(approximate=none)" in out
    assert "4 trials, 0 done, 4 to run. Directory: runs/arms" in out
    assert [one.name for one in tmp_path.iterdir()] == ["arms.yaml"]


def test_the_plan_as_data_knows_what_is_done_and_how_long_it_took(path, capsys):
    assert main(["fit", "--config", path, "--ablation.only", "plain"]) == 0
    capsys.readouterr()
    assert main(["plan", path, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    plain, gelu = found["arms"]
    assert (plain["done"], gelu["done"]) == ([0, 1], [])
    assert plain["seconds"] > 0
    assert gelu["seconds"] is None
    assert (plain["parameters"], plain["macs"]) == (gelu["parameters"], gelu["macs"])
    assert len(gelu["difference"]) == 1
    assert main(["plan", path]) == 0
    assert "4 trials, 2 done, 2 to run, about 0 minutes" in capsys.readouterr().out


def test_the_arms_of_factors_are_planned_as_if_written_down(tmp_path, capsys):
    factors = {
        "act": {"hardswish": {}, "gelu": {ACTIVATION: "torch.nn.GELU"}},
        "gate": {"se": {}, "none": {GATE: NO_GATE}},
    }
    path = write(tmp_path / "grid.yaml", PLAIN, ablation={"seeds": 2, "factors": factors})
    assert main(["plan", path, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [arm["name"] for arm in found["arms"]] == ["hardswish-se", "hardswish-none", "gelu-se", "gelu-none"]
    assert (found["baseline"], found["trials"]) == ("hardswish-se", 8)
    assert [len(arm["difference"]) for arm in found["arms"]] == [0, 1, 1, 2]
    factors["gate"]["none"] = {GATE: "torch.nn.Identityy"}
    path = write(tmp_path / "grid.yaml", PLAIN, ablation={"seeds": 2, "factors": factors})
    assert main(["plan", path]) == 2
    assert f"{path}, arm hardswish-none: {GATE} is 'torch.nn.Identityy'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "plan needs a file"),
        (["nowhere.yaml"], "nowhere.yaml"),
        (["arms.yaml", "--format", "html"], "--format is 'html'; expected table, json."),
        (["plain.yaml"], "plain.yaml: there is no ablation section to plan."),
        (["arms.yaml", f"--ablation.arms.gelu.{ACTIVATION}", "torch.nn.GELUU"], "torch.nn.GELUU"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(words, message, path, tmp_path, capsys):
    write(tmp_path / "plain.yaml", PLAIN)
    assert main(["plan", *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1

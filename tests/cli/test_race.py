"""What a run does beside its trials: it stops arms that are behind, and records levels, budget and speed."""

import json

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, GATE, LIGHTNING, PLAIN, results, write
from vitcli.ablation.plan import make_plan
from vitcli.arguments import parse_arguments
from vitcli.json_files import write_json
from vitcli.main import main

pytestmark = LIGHTNING


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "tiny"


def fabricate(path, values):
    """Write the results that trials of this very plan would have left: arm -> accuracies of seeds 0, 1, ..."""
    plan = make_plan(parse_arguments(["--config", path]))
    for arm, accuracies in values.items():
        for seed, accuracy in enumerate(accuracies):
            directory = plan.trial_directory(arm, seed)
            directory.mkdir(parents=True)
            head = {"format": 1, "arm": arm, "seed": seed, "id": plan.arms[arm].id, "status": "done", "epochs": 1}
            write_json(directory / "result.json", {**head, "metrics": {"test/acc1": accuracy}, "train_seconds": 1.0})


def test_an_arm_that_is_behind_gets_no_further_seeds(tmp_path, runs, capfd):
    arms = {**ABLATION["arms"], "close": {GATE: "torch.nn.Identity"}}
    ablation = {**ABLATION, "arms": arms, "seeds": 4, "stop_early": {"after": 3}}
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=ablation)
    fabricate(path, {"plain": [0.80, 0.82, 0.81], "gelu": [0.50, 0.521, 0.509], "close": [0.79, 0.84, 0.80]})
    assert main(["fit", "--config", path]) == 0
    found = json.loads((runs / "ablation.json").read_text())
    assert list(found["dropped"]) == ["gelu"]
    assert "stopped after 3 of 4 seeds" in found["dropped"]["gelu"]
    assert {"plain/seed3", "close/seed3"} == {key for key in results(runs) if key.endswith("seed3")}
    assert "stopped after 3 of 4 seeds" in (runs / "report.md").read_text()
    capfd.readouterr()


def test_levels_budget_and_speed_are_recorded(tmp_path, runs, capfd):
    factors = {
        "act": {"hardswish": {}, "gelu": {ACTIVATION: "torch.nn.GELU"}},
        "gate": {"se": {}, "none": {GATE: "torch.nn.Identity"}},
    }
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation={"seeds": 1, "factors": factors})
    assert main(["fit", "--config", path]) == 0
    found = json.loads((runs / "ablation.json").read_text())
    assert found["levels"]["gelu-none"] == {"act": "gelu", "gate": "none"}
    assert found["budget"] == {"equal": "epochs", "epochs": dict.fromkeys(found["arms"], 1)}
    speed = json.loads((runs / "speed.json").read_text())
    assert {arm: numbers["id"] for arm, numbers in speed["arms"].items()} == {
        arm: record["id"] for arm, record in found["arms"].items()
    }
    assert "latency" in (runs / "report.md").read_text()
    before = (runs / "speed.json").stat().st_mtime_ns
    assert main(["fit", "--config", path]) == 0
    assert (runs / "speed.json").stat().st_mtime_ns == before, "measured once"
    capfd.readouterr()

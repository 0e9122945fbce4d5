"""What a run does beside its trials: it stops arms that are behind, and records levels, budget and speed."""

import json

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, GATE, LIGHTNING, PLAIN, results, write
from vitcli.ablation import run
from vitcli.ablation.launch.launcher import Ended
from vitcli.ablation.plan import make_plan
from vitcli.config.command_line import parse_arguments
from vitcli.main import main
from vitcli.records.json_files import write_json

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
            leave(plan, arm, seed, accuracy)


def leave(plan, arm, seed, accuracy):
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


class Cluster:
    """Has every trial handed over at once and ends them in order, each as if it had trained; it trains nothing."""

    places = 100

    def __init__(self, plan):
        self.plan, self.queue = plan, []

    def adopt(self, job):
        return False

    def start(self, job):
        self.queue.append((job["arm"], job["seed"]))

    def wait(self, seconds):
        arm, seed = self.queue.pop(0)
        leave(self.plan, arm, seed, {"plain": 0.8, "gelu": 0.5}[arm] + 0.01 * (seed % {"plain": 2, "gelu": 3}[arm]))
        return [((arm, seed), Ended("done"))]

    def withdraw(self, trials):
        back = set(trials).intersection(self.queue[1:])  # the next one trains already
        self.queue = [key for key in self.queue if key not in back]
        return back

    def stop(self):
        self.queue.clear()


def test_trials_of_an_arm_that_is_behind_are_taken_back_from_a_cluster(tmp_path, runs, capfd, monkeypatch):
    ablation = {**ABLATION, "seeds": 6, "stop_early": {"after": 3}}
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=ablation)
    monkeypatch.setattr(run, "make_launcher", Cluster)
    assert main(["fit", "--config", path]) == 0
    # After the third seed of gelu, plain's fourth trains.
    assert {key for key in results(runs) if key.startswith("gelu")} == {f"gelu/seed{seed}" for seed in range(3)}
    assert {key for key in results(runs) if key.startswith("plain")} == {f"plain/seed{seed}" for seed in range(6)}
    out = capfd.readouterr().out
    assert "[9/9] plain seed 5" in out
    assert out.count("gelu: stopped after 3 of 6 seeds") == 1


def test_trials_start_seed_by_seed_and_the_costly_arms_first(tmp_path, runs, capfd, monkeypatch):
    ablation = {**ABLATION, "arms": {"plain": {}, "gelu": {"model.backbone.width": 32}}, "seeds": 2}
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=ablation)
    monkeypatch.setattr(run, "make_launcher", Cluster)
    assert main(["fit", "--config", path]) == 0
    told = [line.split(":")[0] for line in capfd.readouterr().out.split("\n") if line.startswith("[")]
    assert told == ["[1/4] gelu seed 0", "[2/4] plain seed 0", "[3/4] gelu seed 1", "[4/4] plain seed 1"]


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

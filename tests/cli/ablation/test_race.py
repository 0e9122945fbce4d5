"""What a run does beside its trials: it stops arms that are behind, and records levels, budget and speed."""

import json

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, GATE, LIGHTNING, PLAIN, results, write
from vitcli.ablation import run
from vitcli.ablation.launch.launcher import Ended
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.race import race_so_far
from vitcli.config.command_line import parse_arguments
from vitcli.main import main
from vitcli.records.ablation import load
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
    directory.mkdir(parents=True, exist_ok=True)
    head = {"format": 1, "arm": arm, "seed": seed, "id": plan.arms[arm].id, "status": "done", "epochs": 1}
    write_json(directory / "result.json", {**head, "metrics": {"test/acc1": accuracy}, "train_seconds": 1.0})


def test_an_arm_that_is_behind_gets_no_further_seeds(tmp_path, runs, capfd):
    arms = {**ABLATION["arms"], "close": {GATE: "torch.nn.Identity"}}
    ablation = {**ABLATION, "arms": arms, "seeds": 4, "stop_early": {"after": 3}}
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=ablation)
    fabricate(path, {"plain": [0.80, 0.82, 0.81], "gelu": [0.50, 0.521, 0.509], "close": [0.79, 0.84, 0.80]})
    assert main(["fit", "--quick", "--config", path]) == 0
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
        level, period = {"plain": (0.8, 2), "gelu": (0.5, 3), "close": (0.8, 3)}[arm]
        leave(self.plan, arm, seed, level + 0.01 * (seed % period))
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
    assert main(["fit", "--quick", "--config", path]) == 0
    # After the third seed of gelu, plain's fourth trains.
    assert {key for key in results(runs) if key.startswith("gelu")} == {f"gelu/seed{seed}" for seed in range(3)}
    assert {key for key in results(runs) if key.startswith("plain")} == {f"plain/seed{seed}" for seed in range(6)}
    out = capfd.readouterr().out
    assert "[9/9] plain seed 5" in out
    assert out.count("gelu: stopped after 3 of 6 seeds") == 1


LOOKS = {
    **ABLATION,
    "arms": {**ABLATION["arms"], "close": {GATE: "torch.nn.Identity"}},
    "seeds": {"baseline": 6, "arms": 4},
    "looks": [2, 4],
}
AFTER_LOOK_1 = {"plain": [0.80, 0.81, 0.805], "gelu": [0.50, 0.51], "close": [0.79, 0.82]}


def race_with(tmp_path, values, *words):
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=LOOKS)
    fabricate(path, values)
    return race_so_far(make_plan(parse_arguments(["--config", path, *words])))


def test_the_trials_of_a_look_wait_for_the_look_before(tmp_path, runs):
    values = {**AFTER_LOOK_1, "close": [0.79]}
    race = race_with(tmp_path, values)
    # The baseline has its part of its 6 seeds: 3 at the first of two looks.
    assert race.seeds == {"plain": 3, "gelu": 2, "close": 2}
    assert race.stopped == {}
    assert race.allows("close", 1)
    assert not race.allows("close", 2)


def test_a_look_gives_further_seeds_to_open_arms_and_the_baseline_alone(tmp_path, runs):
    race = race_with(tmp_path, AFTER_LOOK_1)
    assert race.seeds == {"plain": 6, "gelu": 0, "close": 4}
    assert race.stopped == {"gelu": "decided after look 1 of 2 (2 of 4 seeds): worse."}


def test_results_beyond_a_look_do_not_change_what_it_decides(tmp_path, runs):
    further = {"plain": [0.2, 0.9, 0.4], "gelu": [0.99, 0.98], "close": [0.1, 0.2]}
    race = race_with(tmp_path, {arm: values + further[arm] for arm, values in AFTER_LOOK_1.items()})
    assert race.stopped["gelu"] == "decided after look 1 of 2 (2 of 4 seeds): worse."


def test_a_failed_trial_counts_as_ended_at_a_look(tmp_path, runs):
    race_with(tmp_path, {**AFTER_LOOK_1, "close": [0.79, 0.82]})
    path = runs / "close" / "seed1" / "result.json"
    write_json(path, json.loads(path.read_text()) | {"status": "failed", "cause": "ValueError: no", "metrics": {}})
    race = race_so_far(make_plan(parse_arguments(["--config", str(tmp_path / "tiny.yaml")])))
    assert race.seeds["close"] == 4


def test_when_every_arm_is_decided_the_baseline_gets_no_further_seeds_either(tmp_path, runs):
    race = race_with(tmp_path, {**AFTER_LOOK_1, "close": [0.30, 0.31]})
    assert race.seeds == {"plain": 0, "gelu": 0, "close": 0}
    assert (
        race.stopped["plain"] == "needed no further seeds after look 1 of 2 (3 of 6 seeds): every other arm is decided."
    )


def test_a_look_waits_for_arms_that_are_not_run(tmp_path, runs, capfd, monkeypatch):
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=LOOKS)
    monkeypatch.setattr(run, "make_launcher", Cluster)
    assert main(["fit", "--quick", "--config", path, "--ablation.exclude", "close"]) == 0
    assert sorted(results(runs)) == ["gelu/seed0", "gelu/seed1", "plain/seed0", "plain/seed1", "plain/seed2"]
    assert "5 trials wait for a look, which needs trials of arms that were not run: close." in capfd.readouterr().out


def test_an_ablation_goes_on_from_look_to_look_by_itself(tmp_path, runs, capfd, monkeypatch):
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=LOOKS)
    monkeypatch.setattr(run, "make_launcher", Cluster)
    assert main(["fit", "--quick", "--config", path]) == 0
    out = capfd.readouterr().out
    ended = [line.split("] ")[1].split(":")[0] for line in out.split("\n") if line.startswith("[")]
    assert set(ended[:7]) == {
        f"{arm} seed {seed}" for arm, n in (("plain", 3), ("gelu", 2), ("close", 2)) for seed in range(n)
    }
    assert set(ended[7:]) == {"plain seed 3", "plain seed 4", "plain seed 5", "close seed 2", "close seed 3"}
    assert out.count("gelu: decided after look 1 of 2 (2 of 4 seeds): worse.") >= 1
    record = json.loads((runs / "ablation.json").read_text())
    assert record["dropped"] == {"gelu": "decided after look 1 of 2 (2 of 4 seeds): worse."}
    assert (record["seeds"], record["baseline_seeds"], record["looks"]) == ([0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [2, 4])
    statuses = {trial.name: (trial.status, trial.cause) for trial in load(runs).not_used}
    assert statuses == {f"gelu/seed{seed}": ("dropped", "not needed after an earlier look") for seed in (2, 3)}


def test_a_directory_goes_on_with_more_seeds_of_the_baseline(tmp_path, runs, capfd, monkeypatch):
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=ABLATION)
    monkeypatch.setattr(run, "make_launcher", Cluster)
    assert main(["fit", "--quick", "--config", path]) == 0
    before = results(runs)
    capfd.readouterr()
    assert main(["fit", "--quick", "--config", path, "--ablation.seeds.baseline", "3"]) == 0
    out = capfd.readouterr().out
    assert "4 of 5 trials are done already and are skipped." in out
    assert "[5/5] plain seed 2" in out
    after = results(runs)
    assert sorted(after) == ["gelu/seed0", "gelu/seed1", "plain/seed0", "plain/seed1", "plain/seed2"]
    assert {key: after[key] for key in before} == before
    ablation = load(runs)
    assert {arm.name: len(arm.done) for arm in ablation.arms} == {"plain": 3, "gelu": 2}
    assert [report.seeds for report in ablation.reports] == [{"plain": 2, "gelu": 2}, {"plain": 3, "gelu": 2}]


def test_reports_of_the_same_trials_are_one_look(tmp_path, runs, capfd, monkeypatch):
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=ABLATION)
    monkeypatch.setattr(run, "make_launcher", Cluster)
    assert main(["fit", "--quick", "--config", path, "--ablation.only", "plain"]) == 0
    assert main(["report", str(runs), "--format", "terminal"]) == 0
    first = load(runs).reports
    assert [report.seeds for report in first] == [{"plain": 2, "gelu": 0}]
    leave(make_plan(parse_arguments(["--config", path])), "gelu", 0, 0.5)
    assert main(["report", str(runs), "--format", "terminal"]) == 0
    assert main(["fit", "--quick", "--config", path]) == 0
    assert [report.seeds for report in load(runs).reports] == [
        {"plain": 2, "gelu": 0},
        {"plain": 2, "gelu": 1},
        {"plain": 2, "gelu": 2},
    ]
    assert load(runs).reports[0] == first[0]
    capfd.readouterr()


def test_trials_start_seed_by_seed_and_the_costly_arms_first(tmp_path, runs, capfd, monkeypatch):
    ablation = {**ABLATION, "arms": {"plain": {}, "gelu": {"model.backbone.width": 32}}, "seeds": 2}
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation=ablation)
    monkeypatch.setattr(run, "make_launcher", Cluster)
    assert main(["fit", "--quick", "--config", path]) == 0
    lines = [line.split(":")[0] for line in capfd.readouterr().out.split("\n") if line.startswith("[")]
    assert lines == ["[1/4] gelu seed 0", "[2/4] plain seed 0", "[3/4] gelu seed 1", "[4/4] plain seed 1"]


@pytest.mark.slow
def test_levels_budget_and_speed_are_recorded(tmp_path, runs, capfd):
    factors = {
        "act": {"hardswish": {}, "gelu": {ACTIVATION: "torch.nn.GELU"}},
        "gate": {"se": {}, "none": {GATE: "torch.nn.Identity"}},
    }
    path = write(tmp_path / "tiny.yaml", PLAIN, ablation={"seeds": 1, "factors": factors})
    assert main(["fit", "--quick", "--config", path]) == 0
    found = json.loads((runs / "ablation.json").read_text())
    assert found["levels"]["gelu-none"] == {"act": "gelu", "gate": "none"}
    assert found["budget"] == {"equal": "epochs", "epochs": dict.fromkeys(found["arms"], 1)}
    speed = json.loads((runs / "speed.json").read_text())
    assert {arm: numbers["id"] for arm, numbers in speed["arms"].items()} == {
        arm: record["id"] for arm, record in found["arms"].items()
    }
    assert "latency" in (runs / "report.md").read_text()
    before = (runs / "speed.json").stat().st_mtime_ns
    assert main(["fit", "--quick", "--config", path]) == 0
    assert (runs / "speed.json").stat().st_mtime_ns == before, "measured once"
    capfd.readouterr()

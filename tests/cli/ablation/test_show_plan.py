"""``vitcli plan``: what would run, found out without running it."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.tiny_ablation import ABLATION, ACTIVATION, GATE, LIGHTNING, PLAIN, write
from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.worker import start_server
from vitcli.config.command_line import parse_arguments
from vitcli.main import main
from vitcli.records.json_files import write_json

pytestmark = LIGHTNING

NO_GATE = "torch.nn.Identity"


@pytest.fixture(autouse=True)
def server():
    """A command with ``--quick`` would start the server without the imports that later trials need."""
    start_server()


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "arms.yaml", PLAIN, ablation=ABLATION)


def test_the_plan_names_arms_costs_differences_and_trials_and_writes_nothing(path, tmp_path, capsys):
    assert main(["plan", path]) == 0
    out = capsys.readouterr().out
    assert "plain (baseline)" in out
    assert "activation: Hardswish(inplace=false) -> GELU(approximate=none)" in out
    assert "Budget: equal epochs." in out
    assert "4 trials, 0 done, 4 to run. Directory: runs/arms" in out
    assert f"Time: not known yet; vitcli speed {path} measures it" in out.replace("\n", " ")
    assert f"Memory: not known yet; vitcli speed {path} measures it" in out.replace("\n", " ")
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
    assert (found["to_run"], found["seconds_left"]) == (2, pytest.approx(2 * plain["seconds"]))
    assert main(["plan", path]) == 0
    out = capsys.readouterr().out
    assert "4 trials, 2 done, 2 to run. Directory: runs/arms" in out
    assert re.search(r"^Time: about \d+ s of training, \d+ s with \d at a time$", out, re.MULTILINE)


def test_the_arms_of_factors_are_planned_as_if_written_down(tmp_path, capsys):
    factors = {
        "act": {"hardswish": {}, "gelu": {ACTIVATION: "torch.nn.GELU"}},
        "gate": {"se": {}, "none": {GATE: NO_GATE}},
    }
    path = write(tmp_path / "grid.yaml", PLAIN, ablation={"seeds": 2, "factors": factors})
    assert main(["plan", "--quick", path, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [arm["name"] for arm in found["arms"]] == ["hardswish-se", "hardswish-none", "gelu-se", "gelu-none"]
    assert (found["baseline"], found["trials"]) == ("hardswish-se", 8)
    assert [len(arm["difference"]) for arm in found["arms"]] == [0, 1, 1, 2]
    assert found["arms"][3]["levels"] == {"act": "gelu", "gate": "none"}
    factors["gate"]["none"] = {GATE: "torch.nn.Identityy"}
    path = write(tmp_path / "grid.yaml", PLAIN, ablation={"seeds": 2, "factors": factors})
    assert main(["plan", "--quick", path]) == 2
    assert f"{path}, arm hardswish-none: {GATE} is 'torch.nn.Identityy'" in capsys.readouterr().err


def test_the_plan_says_what_an_allocation_costs_and_where_its_error_is_not_known(path, capsys):
    assert main(["plan", "--quick", path, "--ablation.seeds", "{baseline: 13, arms: 4}"]) == 0
    out = capsys.readouterr().out
    assert "Seeds: 13 of the baseline and 4 of every other arm, 9 trials more than with 4 of each." in out
    assert (
        "Warning: 13 seeds of the baseline and 4 of every other arm: the error is known for 1 to 3 times as many" in out
    )
    assert "17 trials, 0 done, 17 to run. Directory: runs/arms" in out
    assert re.search(r"^plain \(baseline\) .* 13 +0$", out, re.MULTILINE)
    assert re.search(r"^gelu .* 4 +0$", out, re.MULTILINE)


def test_the_plan_suggests_a_clearly_better_allocation_of_as_many_trials(path, capsys):
    assert main(["plan", "--quick", path, "--ablation.seeds", "{baseline: 15, arms: 5}"]) == 0
    suggested = re.search(
        r"^Suggestion: with seeds: (.*) \((\d+) trials of all arms, now 20\)", capsys.readouterr().out, re.M
    )
    assert suggested is not None
    assert int(suggested[2]) <= 20
    assert main(["plan", "--quick", path, "--ablation.seeds", suggested[1]]) == 0
    assert "Suggestion" not in capsys.readouterr().out


def test_the_plan_says_between_how_many_trials_looks_end(path, capsys):
    words = ["--ablation.seeds", "{baseline: 6, arms: 3}", "--ablation.looks", "[2, 3]"]
    assert main(["plan", "--quick", path, *words]) == 0
    out = capsys.readouterr().out
    assert "Looks: at 2, 3 seeds of an arm; 6 trials of all arms if the first look decides every arm, 9 at most." in out
    assert "Warning: look 1: fewer than 3 seeds of an arm say too little about its spread; take 3 or more." in out
    assert "9 trials, 0 done, at most 9 to run. Directory: runs/arms" in out


def test_the_plan_counts_no_trials_of_arms_that_a_look_decided(path, capsys):
    words = ["--ablation.seeds", "{baseline: 6, arms: 4}", "--ablation.looks", "[2, 4]"]
    plan = make_plan(parse_arguments(["--config", path, *words]))
    for arm, values in {"plain": (0.8, 0.81, 0.805), "gelu": (0.5, 0.51)}.items():
        for seed, value in enumerate(values):
            result(plan.directory, arm, seed, plan.arms[arm].id, "done", value)
    assert main(["plan", "--quick", path, *words]) == 0
    out = capsys.readouterr().out
    assert "gelu: decided after look 1 of 2 (2 of 4 seeds): worse.\n" in out
    assert "10 trials, 5 done, at most 0 to run. Directory: runs/arms" in out


def result(directory: Path, arm: str, seed: int, identity: str, status: str, value: float = 0.5) -> None:
    place = directory / arm / f"seed{seed}"
    place.mkdir(parents=True)
    outcome = (
        {"metrics": {"test/acc1": value}, "train_seconds": 8.0} if status == "done" else {"cause": "ValueError: no"}
    )
    write_json(
        place / "result.json", {"format": 1, "arm": arm, "seed": seed, "id": identity, "status": status, **outcome}
    )


def test_the_plan_tells_done_failed_and_unfinished_trials_apart(path, tmp_path, capsys):
    plan = make_plan(parse_arguments(["--config", path, "--ablation.seeds", "4"]))
    identity = plan.arms["gelu"].id
    result(plan.directory, "gelu", 0, identity, "done")
    result(plan.directory, "gelu", 1, identity, "failed")
    result(plan.directory, "gelu", 2, "another", "done")
    assert main(["plan", "--quick", path, "--format", "json", "--ablation.seeds", "4"]) == 0
    found = json.loads(capsys.readouterr().out)
    gelu = found["arms"][1]
    assert (gelu["done"], gelu["failed"], gelu["unfinished"]) == ([0], [1], [2])
    assert (gelu["to_run"], found["to_run"]) == (2, 6)
    assert main(["plan", "--quick", path, "--format", "json", "--ablation.seeds", "4", "--retry", "failed"]) == 0
    assert json.loads(capsys.readouterr().out)["to_run"] == 7


def test_measured_speeds_give_time_and_memory_before_the_first_trial(path, tmp_path, capsys):
    plan = make_plan(parse_arguments(["--config", path]))
    speeds = {"plain": (0.5, 40_000_000), "gelu": (2.0, 90_000_000)}
    arms = {
        name: {"id": plan.arms[name].id, "step_seconds": step, "peak_memory_bytes": peak}
        for name, (step, peak) in speeds.items()
    }
    plan.directory.mkdir(parents=True)
    write_json(plan.directory / "speed.json", {"format": 1, "arms": arms})
    assert main(["plan", "--quick", path, "--format", "json", "--ablation.workers", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    # One epoch of limit_train_batches = 2 steps.
    assert [arm["seconds"] for arm in found["arms"]] == [1.0, 4.0]
    assert [arm["peak_memory_bytes"] for arm in found["arms"]] == [40_000_000, 90_000_000]
    assert (found["seconds_left"], found["workers"]) == (10.0, 2)
    assert main(["plan", "--quick", path, "--ablation.workers", "2"]) == 0
    out = capsys.readouterr().out
    assert "Time: about 10 s of training, 5 s with 2 at a time" in out
    assert "Memory: at most 90 MB of tensors in a training step" in out


def test_the_speed_of_another_configuration_says_nothing(path, capsys):
    plan = make_plan(parse_arguments(["--config", path]))
    plan.directory.mkdir(parents=True)
    arms = {"plain": {"id": "another", "step_seconds": 0.5, "peak_memory_bytes": 1}}
    write_json(plan.directory / "speed.json", {"format": 1, "arms": arms})
    assert main(["plan", "--quick", path, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds_left"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "plan needs a file"),
        (["nowhere.yaml"], "nowhere.yaml"),
        (["arms.yaml", "--format", "html"], "--format is 'html'; expected table, json."),
        (["plain.yaml"], "plain.yaml: there is no ablation section; plan needs one."),
        (["arms.yaml", f"--ablation.arms.gelu.{ACTIVATION}", "torch.nn.GELUU"], "torch.nn.GELUU"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(words, message, path, tmp_path, capsys):
    write(tmp_path / "plain.yaml", PLAIN)
    assert main(["plan", *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1

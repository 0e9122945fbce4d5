"""Classifiers are trained before the trials, once for all arms, seeds and files, even if the command is interrupted."""

import json
import signal
from pathlib import Path

import pytest

from tests.cli.ablation.planning.test_classifiers import RECIPE
from tests.cli.ablation.test_durability import MORTAL
from tests.cli.processes import Running
from tests.cli.tiny_ablation import ABLATION, LIGHTNING, PLAIN, results, write
from vitcli.main import main

pytestmark = [*LIGHTNING, pytest.mark.slow]

ARMS = {"plain": {}, "slower": {"model.optimizer": {"class_path": "torch.optim.AdamW", "lr": 1e-4}}}
OTHER = {"plain": {}, "scratch": {"pretraining": None}}


def prepared(folder: Path, **trainer) -> Path:
    """Write two ablations on the same backbone, whose classifier obeys the order of ``MORTAL``."""
    (folder / "mortal.py").write_text(MORTAL)
    own = {**RECIPE["trainer"], "max_epochs": 2, "callbacks": ["mortal.Mortal"], **trainer}
    for name, arms in (("arms", ARMS), ("other", OTHER)):
        section = {**ABLATION, "arms": arms, "workers": 2}
        write(folder / f"{name}.yaml", PLAIN, ablation=section, pretraining={**RECIPE, "trainer": own})
    return folder


def run(folder: Path, name: str) -> tuple[int, str, str]:
    running = Running("fit", "--config", f"{name}.yaml", folder=folder)
    try:
        return running.end()
    finally:
        running.stop()


def scores(folder: Path) -> dict[str, dict[str, float]]:
    return {name: result["metrics"] for name, result in results(folder).items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two files run one after the other, with the output of the first and the result of its classifier."""
    folder = prepared(tmp_path_factory.mktemp("finished"))
    ends = [run(folder, "arms")]
    (first,) = results(folder / "runs/pretrained").values()
    return folder, first, [*ends, run(folder, "other")]


def test_a_classifier_is_trained_once_for_two_arms_and_reused_by_another_file(finished):
    folder, first, ends = finished
    assert [code for code, *_ in ends] == [0, 0], ends
    assert "Pretraining: 1 of the 1 classifiers that trials start from, in runs/pretrained." in ends[0][1]
    assert "Pretraining" not in ends[1][1]
    (last,) = results(folder / "runs/pretrained").values()
    assert last == first
    assert first["status"] == "done"


def test_results_and_report_say_what_a_training_started_from_and_how_good_that_was(finished):
    folder, first, _ = finished
    for name, result in results(folder / "runs/other").items():
        weights = result["provenance"].get("weights", [])
        assert len(weights) == (0 if name.startswith("scratch") else 1)
        for one in weights:
            assert one["file"] == f"runs/pretrained/{first['arm']}/seed0"
            assert one["metrics"] == first["metrics"]
    report = (folder / "runs/other/report.md").read_text()
    assert f"runs/pretrained/{first['arm']}/seed0" in report
    assert f"test/acc1 {first['metrics']['test/acc1']:.4f}" in report


def test_the_plan_knows_which_classifiers_are_trained(finished, monkeypatch, capsys):
    monkeypatch.chdir(finished[0])
    monkeypatch.syspath_prepend(str(finished[0]))
    assert main(["plan", "arms.yaml", "--quick", "--format", "json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["classifiers"]
    assert (one["needed"], one["trained"]) == ([0], [0])


@pytest.mark.exhaustive
@pytest.mark.parametrize("order", ["both step 1 0", "trial step 1 0"])
def test_a_pretraining_killed_in_the_middle_goes_on_to_the_same_numbers(order, finished, tmp_path):
    folder = prepared(tmp_path)
    (folder / "order").write_text(order)
    first = run(folder, "arms")
    assert first[0] == (-signal.SIGKILL if order.startswith("both") else 1), first
    assert not (folder / "order").exists()
    code, out, errors = run(folder, "arms")
    assert code == 0, out + errors
    (classifier,) = results(folder / "runs/pretrained").values()
    assert classifier["resumed"] == [1]
    for name in ("pretrained", "arms"):
        assert scores(folder / "runs" / name) == scores(finished[0] / "runs" / name)


@pytest.mark.exhaustive
def test_two_commands_at_once_train_one_classifier(finished, tmp_path):
    folder = prepared(tmp_path)
    both = [Running("fit", "--config", f"{name}.yaml", folder=folder) for name in ("arms", "other")]
    try:
        ends = [one.end() for one in both]
    finally:
        for one in both:
            one.stop()
    assert [code for code, *_ in ends] == [0, 0], ends
    (classifier,) = results(folder / "runs/pretrained").values()
    assert classifier["resumed"] == []
    assert scores(folder / "runs/other") == scores(finished[0] / "runs/other")


@pytest.mark.exhaustive
def test_trials_whose_classifier_fails_say_so_and_the_others_run(tmp_path):
    folder = prepared(tmp_path, callbacks=["mortal.Exits"], limit_train_batches=2)
    code, out, errors = run(folder, "other")
    assert code == 1, out + errors
    found = results(folder / "runs/other")
    assert {name: one["status"] for name, one in found.items()} == {
        "plain/seed0": "failed",
        "plain/seed1": "failed",
        "scratch/seed0": "done",
        "scratch/seed1": "done",
    }
    assert "from which it starts, is not trained: the process ended with exit code 3" in found["plain/seed0"]["cause"]

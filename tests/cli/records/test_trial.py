"""What result.json says, as the runner and the report understand it."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.ablation_directory import ARMS, edit_result, write_plan, write_trial
from vitcli.ablation.state import is_done, is_failed
from vitcli.records.ablation import load
from vitcli.records.json_files import RecordError
from vitcli.records.trial import done_result, failed_result, read_result, result_end, result_head, result_status


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_plan(tmp_path, seeds=(0,))
    write_trial(tmp_path, "relu6", 0)
    return tmp_path


def plan_of(directory: Path) -> Any:
    """What the runner knows of the same ablation."""
    arms = {arm.name: SimpleNamespace(id=arm.id, data=None) for arm in load(directory).arms}
    return SimpleNamespace(arms=arms, trial_directory=lambda arm, seed: directory / arm / f"seed{seed}")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "done"),
        ({"metrics": {}}, "no metric"),
        ({"metrics": {"test/loss": 0.5}}, "no metric"),
        ({"metrics": {"test/acc1": math.nan}}, "not finite"),
        ({"metrics": {"test/acc1": 0.9, "test/loss": math.inf}}, "not finite"),
        ({"metrics": {"test/acc1": 0.9, "test/loss": None}}, "not finite"),
        ({"metrics": {"test/acc1": 0.9, "test/loss": "low"}}, "not finite"),
        ({"metrics": None}, "not finite"),
        ({"status": "failed", "cause": "ValueError: no", "metrics": {}}, "failed"),
        ({"status": "failed", "cause": "", "metrics": {"test/acc1": 0.9}}, "failed"),
        ({"id": "another"}, "stale"),
        ({"id": "another", "status": "failed"}, "stale"),
        ({"id": "another", "metrics": {"test/acc1": math.nan}}, "stale"),
    ],
)
def test_runner_and_report_agree_on_every_kind_of_result(runs, change, status):
    edit_result(runs, "relu6", 0, **change)
    (trial,) = load(runs).arm("relu6").trials
    plan = plan_of(runs)
    assert trial.status == status
    # A result without the compared metric is done: the same training would leave it without the metric again.
    assert is_done(plan, "relu6", 0) == (status in ("done", "no metric"))
    assert is_failed(plan, "relu6", 0) == (status == "failed")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 2}', '{"format": 1, "status": "do'])
def test_what_the_report_cannot_read_the_runner_runs_again(runs, text):
    plan = plan_of(runs)
    (runs / "relu6" / "seed0" / "result.json").write_text(text)
    with pytest.raises(RecordError):
        load(runs)
    assert not is_done(plan, "relu6", 0)
    assert not is_failed(plan, "relu6", 0)


def test_a_trial_without_a_result_is_neither_done_nor_failed(runs):
    (runs / "relu6" / "seed0" / "result.json").unlink()
    (trial,) = load(runs).arm("relu6").trials
    assert trial.status == "unfinished"
    assert not is_done(plan_of(runs), "relu6", 0)
    assert not is_failed(plan_of(runs), "relu6", 0)


def test_a_trial_that_the_machine_interrupted_is_listed_as_failed_and_run_again(runs):
    edit_result(runs, "relu6", 0, status="failed", cause="interrupted: OSError: no space left on device")
    assert load(runs).arm("relu6").trials[0].status == "failed"
    assert not is_failed(plan_of(runs), "relu6", 0)


def test_the_cause_names_the_metric_that_is_not_finite(runs):
    edit_result(runs, "relu6", 0, metrics={"test/acc1": 0.9, "test/loss": math.nan})
    assert load(runs).arm("relu6").trials[0].cause == "test/loss is nan"


def test_an_unknown_status_is_refused_in_one_sentence(runs):
    edit_result(runs, "relu6", 0, status="maybe")
    with pytest.raises(RecordError, match=r"result\.json: status must be done or failed, got maybe\.$"):
        load(runs)


def test_a_done_result_is_read_as_it_was_written(runs):
    made_by = {"commit": "c0ffee", "dirty": None, "versions": {"torch": "2"}, "data": "d", "device": "a CPU"}
    found = done_result(
        metrics={"test/acc1": 0.5}, epochs=3, train_seconds=1.5, train_images=60, threads=2, provenance=made_by
    )
    id_ = load(runs).arm("relu6").id
    content = {**result_head("relu6", 0, id_), **found, **result_end([1, 2], "2026-01-02T03:04:05+00:00")}
    (runs / "relu6" / "seed0" / "result.json").write_text(json.dumps(content))
    (trial,) = load(runs).arm("relu6").trials
    assert (trial.status, trial.metrics, trial.epochs, trial.threads) == ("done", {"test/acc1": 0.5}, 3, 2)
    assert (trial.train_seconds, trial.train_images, trial.resumed) == (1.5, 60, (1, 2))
    assert (trial.provenance.commit, trial.provenance.device) == ("c0ffee", "a CPU")
    assert read_result(trial.directory) == content


def test_a_failed_result_is_read_with_its_cause_and_log(runs):
    id_ = load(runs).arm("relu6").id
    content = {**result_head("relu6", 0, id_), **failed_result("ValueError: no"), **result_end([], "", ["last line"])}
    (runs / "relu6" / "seed0" / "result.json").write_text(json.dumps(content))
    (trial,) = load(runs).arm("relu6").trials
    assert (trial.status, trial.cause, trial.log) == ("failed", "ValueError: no", ("last line",))
    assert result_status(content, id_) == ("failed", "ValueError: no")


def test_every_arm_of_the_plan_has_a_trial_for_every_seed(runs):
    assert [len(arm.trials) for arm in load(runs).arms] == [1] * len(ARMS)

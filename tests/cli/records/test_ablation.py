import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.ablation_directory import SEEDS, edit_result, make_ablation, write_plan, write_trial
from vitcli.records.ablation import load, record_report, save
from vitcli.records.conditions import Budget
from vitcli.records.json_files import RecordError
from vitcli.records.reports import Report, read_reports


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_ablation(tmp_path / "localvit_act")


def statuses(directory: Path) -> dict[str, str]:
    return {trial.name: trial.status for trial in load(directory).not_used}


def test_arms_keep_the_files_order_and_trials_the_seeds_order(runs):
    ablation = load(runs)
    assert [arm.name for arm in ablation.arms] == ["relu6", "h_swish", "h_swish_eca", "h_swish_se4", "no_depthwise"]
    assert all(tuple(trial.seed for trial in arm.trials) == SEEDS for arm in ablation.arms)
    assert ablation.metric.name == "test/acc1"
    assert ablation.arm("h_swish").difference == {
        "model.backbone.every.feed_forward.op.activation": ("torch.nn.ReLU6", "torch.nn.Hardswish")
    }


def test_a_failed_trial_is_listed_with_its_cause_and_not_used(runs):
    ablation = load(runs)
    failed = next(trial for trial in ablation.not_used if trial.status == "failed")
    assert (failed.name, failed.cause) == ("h_swish/seed3", "the loss is NaN in epoch 7")
    assert sorted(ablation.arm("h_swish").values("test/acc1")) == [0, 1, 2, 4]


def test_a_result_of_another_config_is_stale_and_not_used(runs):
    assert statuses(runs)["no_depthwise/seed4"] == "stale"
    assert 4 not in load(runs).arm("no_depthwise").values("test/acc1")


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_metric_that_is_not_finite_is_listed_and_not_used(runs, value):
    edit_result(runs, "relu6", 1, metrics={"test/acc1": value, "test/loss": 0.5})
    assert statuses(runs)["relu6/seed1"] == "not finite"
    assert 1 not in load(runs).arm("relu6").values("test/acc1")


def test_a_result_without_the_main_metric_is_listed_and_not_used(runs):
    edit_result(runs, "relu6", 1, metrics={"test/loss": 0.5})
    trial = next(trial for trial in load(runs).not_used if trial.name == "relu6/seed1")
    assert (trial.status, trial.cause) == ("no metric", "the result has no test/acc1")


def test_a_trial_without_a_result_is_unfinished(tmp_path):
    write_plan(tmp_path)
    write_trial(tmp_path, "relu6", 0)
    (tmp_path / "relu6" / "seed1").mkdir()
    found = {trial.name: trial.cause for trial in load(tmp_path).not_used}
    assert len(found) == 24
    assert found["relu6/seed1"] == "no result.json yet"
    assert found["relu6/seed2"] == "not started"


def test_a_result_that_the_plan_does_not_have_is_listed_and_not_used(runs):
    write_plan(runs, seeds=(0, 1, 2))
    assert statuses(runs)["relu6/seed4"] == "unplanned"
    assert sorted(load(runs).arm("relu6").values("test/acc1")) == [0, 1, 2]


def test_a_record_that_is_saved_is_read_again_as_it_was(runs):
    ablation = replace(
        load(runs),
        levels={"h_swish": {"activation": "h_swish"}},
        budget=Budget("macs", {"relu6": 24, "h_swish": 12}),
        dropped={"no_depthwise": "stopped after 4 of 5 seeds"},
        pairing="none",
        margin=0.02,
        looks=(2, 5),
        reports=(Report("2026-01-02T03:04:05+00:00", {"relu6": 5, "h_swish": 4}, (2, 5)),),
    )
    save(ablation)
    assert load(runs) == ablation


def test_the_baseline_s_own_seeds_are_its_planned_trials(runs):
    save(replace(load(runs), baseline_seeds=tuple(range(7))))
    ablation = load(runs)
    assert [trial.seed for trial in ablation.arm("relu6").trials] == [*range(7)]
    assert all(tuple(trial.seed for trial in arm.trials) == SEEDS for arm in ablation.arms[1:])
    assert [trial.name for trial in ablation.not_used if trial.status == "unfinished"] == ["relu6/seed5", "relu6/seed6"]


def test_a_report_is_recorded_once_for_the_same_trials(runs):
    first = record_report(load(runs), "then")
    assert first.reports == (
        Report("then", {"relu6": 5, "h_swish": 4, "h_swish_eca": 5, "h_swish_se4": 5, "no_depthwise": 4}),
    )
    assert record_report(load(runs), "later") == load(runs) == first
    edit_result(runs, "relu6", 1, status="failed", cause="no")
    assert [report.at for report in record_report(load(runs), "last").reports] == ["then", "last"]


def test_reports_outlive_a_record_that_cannot_be_read_in_full(runs):
    record_report(load(runs), "then")
    path = runs / "ablation.json"
    assert [report.at for report in read_reports(path)] == ["then"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reports": 3}))
    assert read_reports(path) == ()
    assert read_reports(runs / "nothing.json") == ()


def test_a_missing_plan_is_one_sentence_that_names_the_file(tmp_path):
    with pytest.raises(RecordError, match=r"ablation\.json: no such file; give the directory of an ablation"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["ablation.json", "relu6/seed0/result.json"])
def test_a_file_cut_short_is_one_sentence_that_names_it(runs, name):
    path = runs / name
    path.write_text(path.read_text()[:40])
    with pytest.raises(RecordError, match=r"not readable as JSON") as caught:
        load(runs)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, '"format": 1'),
        ({"metric": {"name": "test/acc1", "direction": "up"}}, "must be max or min, got up"),
        ({"baseline": "gelu"}, "the baseline gelu is not one of the arms relu6"),
        ({"seeds": 3}, "seeds must be of type list, got 3"),
        ({"arms": {"relu6": {"id": "1", "difference": {"a.b": 4}}}}, "the difference in a.b must be"),
    ],
)
def test_a_plan_that_makes_no_sense_is_one_sentence(runs, change, sentence):
    path = runs / "ablation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordError) as caught:
        load(runs)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_result_copied_into_another_trials_directory_is_an_error(runs):
    edit_result(runs, "relu6", 1, seed=0)
    with pytest.raises(RecordError, match="the result is of relu6/seed0, but lies in relu6/seed1"):
        load(runs)

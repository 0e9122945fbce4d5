"""vitcli.results: what a report is made from, as tables of pandas."""

import csv
import math
import sys

import pytest

import vitcli
from tests.cli.ablation_directory import SEEDS, edit_plan, make_ablation, make_grid, write_speed
from vitcli.records.ablation import load
from vitcli.records.json_files import RecordError
from vitcli.report import summarise, to_csv
from vitcli.report.columns import COLUMNS, CSV, MEANINGS, columns_of

pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    made = make_ablation(tmp_path_factory.mktemp("runs") / "localvit_act")
    write_speed(made)
    return made


def test_arms_have_the_columns_and_the_numbers_of_the_csv_file(directory):
    arms = vitcli.results(directory).arms
    rows = list(csv.DictReader(to_csv(summarise(load(directory))).splitlines()))
    assert list(arms.index) == [row["arm"] for row in rows]
    assert ["arm", *arms.columns] == list(rows[0])
    for row in rows:
        for key in ("mean", "difference", "p_corrected", "latency_ms"):
            value = arms.loc[row["arm"], key]
            assert value == float(row[key]) if row[key] else math.isnan(value)
    assert arms.verdict.tolist() == [row["verdict"] for row in rows]


def test_a_mean_over_the_trials_is_the_mean_of_the_report(directory):
    found = vitcli.results(directory)
    means = found.trials.groupby("arm")["test/acc1"].agg(["mean", "count"])
    assert means["mean"].to_dict() == pytest.approx(found.arms["mean"].to_dict())
    assert means["count"].to_dict() == found.arms["n"].to_dict()
    failed = found.trials.set_index(["arm", "seed"]).loc[("h_swish", 3)]
    assert (failed.status, failed.cause) == ("failed", "the loss is NaN in epoch 7")
    assert found.trials.query("status == 'stale'")["test/acc1"].isna().all()


@pytest.mark.parametrize(("axis", "places"), [("epoch", 24), ("step", 48)])
def test_curves_are_those_of_the_finished_trials(directory, axis, places):
    curves = vitcli.results(directory, axis).curves
    one = curves.query("arm == 'h_swish' and seed == 0")
    assert list(curves.columns) == ["arm", "seed", axis, "train/loss", "val/acc1", "val/loss"]
    assert len(one) == one[axis].nunique() == places
    assert set(curves.query("arm == 'h_swish'").seed) == set(SEEDS) - {3}


def test_factors_and_trials_without_a_plan_are_there(tmp_path):
    made = make_grid(tmp_path / "grid", {"act": ("relu", "gelu"), "gate": ("none", "se")}, seeds=2)
    edit_plan(made, seeds=[0])
    found = vitcli.results(made)
    assert found.arms.loc["gelu-se", "factor.gate"] == "se"
    assert found.trials.groupby("factor.act")["test/acc1"].count().to_dict() == {"relu": 2, "gelu": 2}
    assert (found.trials.status == "unplanned").sum() == 4


def test_without_pandas_one_sentence_names_the_extra(directory, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "vitcli\[pandas\]"'):
        vitcli.results(directory)


def test_a_wrong_directory_or_axis_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"ablation\.json"):
        vitcli.results(tmp_path)
    with pytest.raises(ValueError, match="got 'epochs'"):
        vitcli.results(tmp_path, "epochs")


def test_every_column_of_the_csv_file_has_a_meaning():
    assert list(MEANINGS) == [column.key for column in columns_of(COLUMNS, CSV)]

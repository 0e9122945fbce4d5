"""Under which conditions the numbers came about: provenance, speed, budget, continued, failed and dropped trials."""

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.ablation_directory import (
    edit_plan,
    edit_result,
    make_ablation,
    make_finished_ablation,
    set_provenance,
    set_trial_provenance,
    write_speed,
)
from vitcli.records.ablation import load
from vitcli.records.json_files import RecordError
from vitcli.report import summarise, to_csv, to_terminal, write_pages

FORMATS = ("report.md", "report.html", "report.tex", "report.csv")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_ablation(tmp_path / "localvit_act")


def page(directory: Path, name: str = "report.md") -> str:
    """The report in one format, without figures."""
    ablation = load(directory)
    return write_pages(ablation, summarise(ablation), []).with_name(name).read_text()


def rows(directory: Path) -> dict[str, dict[str, str]]:
    return {row["arm"]: row for row in csv.DictReader(io.StringIO(to_csv(summarise(load(directory)))))}


def edit_speed(directory: Path, arm: str, **changes: object) -> None:
    path = directory / "speed.json"
    speed = json.loads(path.read_text())
    speed["arms"][arm] |= changes
    path.write_text(json.dumps(speed))


def test_trials_of_one_code_data_and_device_raise_no_warning(runs):
    set_provenance(runs)
    assert summarise(load(runs)).warnings == ()
    assert "Warning" not in page(runs)
    for message in (
        "**trials' commit**: 1a2b3c4d5e",
        "**trials' device**: an x86 CPU",
        "torch 2.15.0, lightning 2.6.6",
    ):
        assert message in page(runs)


def test_a_package_that_one_arm_alone_uses_raises_no_warning_unless_it_changed(runs):
    set_provenance(runs)
    for seed in (0, 1, 2, 4):
        set_trial_provenance(
            runs, "h_swish", seed, code={"my_ops.Roll": "1"}, versions={"torch": "2", "my_ops": "code 1"}
        )
    for path in runs.glob("*/seed*/result.json"):
        set_trial_provenance(
            runs, path.parts[-3], int(path.parts[-2][4:]),
            versions={"torch": "2", **({"my_ops": "code 1"} if path.parts[-3] == "h_swish" else {})},
        )  # fmt: skip
    assert summarise(load(runs)).warnings == ()
    set_trial_provenance(runs, "h_swish", 4, versions={"torch": "2", "my_ops": "code 2"})
    (warning,) = summarise(load(runs)).warnings
    assert "my_ops code 2 in 1 of 23: h_swish (seed 4)" in warning


def test_what_is_to_be_known_of_the_data_stands_beside_their_fingerprint(runs):
    set_provenance(
        runs, data="abcdef0123456789", data_notes="the test set is the folder val; damaged images left out of train: 1"
    )
    assert "**trials' data**: abcdef0123; the test set is the folder val; damaged images left out of train: 1" in page(
        runs
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": "ffff0000ffff0000"}, "differ in commit (commit 1a2b3c4d5e in 22 of 23"),
        ({"dirty": "d" * 64}, "differ in uncommitted changes (uncommitted changes none in 22 of 23"),
        ({"data": "beef" * 4}, "differ in data (data dada000000 in 22 of 23"),
        ({"device": "a GPU"}, "differ in device (device an x86 CPU in 22 of 23"),
        ({"versions": {"torch": "2.16.0", "lightning": "2.6.6"}}, "differ in torch (torch 2.15.0 in 22 of 23"),
        ({"versions": {"torch": "2.15.0"}}, "lightning absent in 1 of 23: relu6 (seed 1)"),
    ],
)
def test_one_trial_of_another_origin_is_a_warning_that_names_it(runs, change, message):
    set_provenance(runs)
    set_trial_provenance(runs, "relu6", 1, **change)
    (warning,) = summarise(load(runs)).warnings
    assert message in warning
    assert "in 1 of 23: relu6 (seed 1)" in warning


def test_what_changed_together_is_one_sentence(runs):
    set_provenance(runs)
    set_trial_provenance(runs, "relu6", 1, commit="ffff", data="beef")
    (warning,) = summarise(load(runs)).warnings
    assert warning.startswith("The trials used differ in commit and data (")


def test_trials_that_are_not_used_raise_no_warning(runs):
    set_provenance(runs)
    set_trial_provenance(runs, "h_swish", 3, commit="ffff")
    set_trial_provenance(runs, "no_depthwise", 4, commit="ffff")
    assert summarise(load(runs)).warnings == ()


def test_a_trial_without_provenance_among_others_is_a_warning(runs):
    set_provenance(runs)
    edit_result(runs, "relu6", 0, provenance=None)
    assert summarise(load(runs)).warnings == ("Code, data and device are not recorded for relu6 (seed 0).",)


def test_a_report_without_any_provenance_says_so(runs):
    assert "not recorded, so a mixture of versions would go unnoticed" in page(runs)


@pytest.mark.parametrize("name", FORMATS)
def test_the_warning_comes_before_the_first_number_in_every_format(runs, name):
    set_provenance(runs)
    set_trial_provenance(runs, "relu6", 1, commit="ffff")
    text = page(runs, name)
    assert "The trials used differ in commit" in text
    if name == "report.csv":
        assert all("differ in commit" in row["warnings"] for row in rows(runs).values())
    else:
        assert text.index("differ in commit") < text.index("0.866")


def test_the_terminal_warns_above_the_table(runs):
    set_provenance(runs)
    set_trial_provenance(runs, "relu6", 1, commit="ffff")
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(to_terminal(summarise(load(runs))))
    assert console.export_text().startswith("Warning: The trials used differ in commit")


def test_the_speed_columns_and_their_conditions_are_stated(runs):
    write_speed(runs)
    text = page(runs)
    assert "| relu6 | 123,456 | 3.46M |" in text
    assert "| relu6 | 4.25 | 1500 | 400 | 143 |" in text
    for message in ("On an x86 CPU with 2 threads in float32, in 5 rounds", "batches of 64", "2026-01-02T03:04:05"):
        assert message in text
    assert float(rows(runs)["h_swish"]["latency_ms"]) == 4.25 + 0.5 * 2


@pytest.mark.parametrize(("load", "says"), [(None, False), (0.1, False), (1.6, True)])
def test_speeds_that_were_measured_on_a_busy_machine_are_reported_as_too_low(load, says, runs):
    write_speed(runs)
    speed = json.loads((runs / "speed.json").read_text())
    (runs / "speed.json").write_text(json.dumps({**speed, "other_load": load}))
    assert ("Other processes kept 1.6 processor cores busy meanwhile" in page(runs)) == says


def test_without_measured_speed_there_are_no_columns_for_it(runs):
    assert "latency" not in page(runs)
    assert rows(runs)["relu6"]["latency_ms"] == ""


def test_the_speed_of_another_config_is_left_out_and_the_report_says_so(runs):
    write_speed(runs)
    edit_speed(runs, "h_swish", id="another")
    text = page(runs)
    assert "speed.json holds the speed of another config for h_swish; it is left out." in text
    assert "| h_swish | - | - | - | - |" in text
    assert rows(runs)["h_swish"]["latency_ms"] == ""


def test_an_arm_whose_speed_was_not_measured_is_named(runs):
    write_speed(runs)
    path = runs / "speed.json"
    speed = json.loads(path.read_text())
    del speed["arms"]["relu6"], speed["arms"]["h_swish"]
    path.write_text(json.dumps(speed))
    assert "No speed was measured for relu6 and h_swish." in page(runs)


@pytest.mark.parametrize(("value", "shown"), [("fast", "'fast'"), (None, "None"), (float("nan"), "nan")])
def test_a_speed_that_is_not_a_number_is_refused_in_one_sentence(runs, value, shown):
    write_speed(runs)
    edit_speed(runs, "relu6", latency_ms=value)
    with pytest.raises(RecordError, match=rf"speed\.json: latency_ms must be a finite number, got {shown}\.$"):
        load(runs)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"levels": {"relu6": "x"}}, "relu6 must be of type dict, got 'x'."),
        ({"budget": {"epochs": {}}}, "equal must be of type str, got None."),
        ({"dropped": ["relu6"]}, r"dropped must be of type dict, got \['relu6'\]."),
    ],
)
def test_a_plan_whose_additions_make_no_sense_is_one_sentence(runs, change, sentence):
    edit_plan(runs, **change)
    with pytest.raises(RecordError, match=rf"ablation\.json: {sentence}$"):
        load(runs)


def test_the_budget_is_stated(runs):
    edit_plan(runs, budget={"equal": "epochs", "epochs": {arm.name: 24 for arm in load(runs).arms}})
    assert "**budget**: equal epochs in all arms (24 epochs for every arm)" in page(runs)
    edit_plan(runs, budget={"equal": "training_time", "epochs": {"relu6": 24, "h_swish": 24, "h_swish_se4": 20}})
    message = "equal training time in all arms: 24 epochs for relu6 and h_swish; 20 epochs for h_swish_se4"
    assert message in page(runs)


def test_continued_trials_are_stated(runs):
    edit_result(runs, "relu6", 0, resumed=[3, 9])
    edit_result(runs, "h_swish", 1, resumed=[])
    assert "**continued trials**: relu6/seed0 after epochs 3 and 9\n" in page(runs)


def test_arms_dropped_by_racing_are_stated_beside_the_table_with_the_rules_numbers(runs):
    edit_plan(runs, dropped={"no_depthwise": "after 3 seeds its upper bound 0.84 is below the baseline's 0.86"})
    (runs / "no_depthwise" / "seed4" / "result.json").unlink()
    (runs / "no_depthwise" / "seed4" / "metrics.csv").unlink()
    text = page(runs)
    assert "no_depthwise: after 3 seeds its upper bound 0.84 is below the baseline's 0.86." in text
    assert "| no_depthwise/seed4 | dropped | racing stopped the arm before this seed |" in text
    assert text.index("**Stopped early.**") < text.index("| parameters |")
    assert "Stopped early." in page(runs, "report.tex")


def test_a_failed_trial_shows_its_cause_and_the_last_lines_of_its_log(runs):
    edit_result(runs, "h_swish", 3, log=["Epoch 7", "\x1b[31mValueError: loss is <nan>\x1b[0m"])
    assert "h_swish/seed3: the last lines of its log:\n\n    Epoch 7\n    ValueError: loss is <nan>\n" in page(runs)
    html = page(runs, "report.html")
    assert "<details><summary>h_swish/seed3: the last lines of its log</summary>" in html
    assert "<pre>Epoch 7\nValueError: loss is &lt;nan&gt;</pre>" in html


@pytest.mark.parametrize("name", ["report.md", "report.html", "report.tex"])
def test_seeds_lost_to_failure_are_counted_beside_the_table(runs, name):
    edit_result(runs, "h_swish", 0, metrics={"test/acc1": float("nan")})
    text = page(runs, name).replace("\\_", "_")
    assert "h_swish in 2 of 5 seeds. They are excluded; if instability caused the failures" in text


def test_a_report_that_has_none_of_the_additions_is_whole(tmp_path):
    text = page(make_finished_ablation(tmp_path))
    assert "Stopped early" not in text
    assert "Lost seeds" not in text
    assert "continued" not in text
    assert "budget" not in text

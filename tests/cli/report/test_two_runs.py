"""``vitcli compare DIR1 DIR2``."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.cli.ablation_directory import (
    edit_plan,
    edit_result,
    make_arms,
    make_finished_ablation,
    set_provenance,
    set_trial_provenance,
)
from vitcli.commands.compare import main
from vitcli.config.errors import ConfigError
from vitcli.records.ablation import load
from vitcli.report import compare_runs


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    first, second = (make_finished_ablation(tmp_path / name) for name in ("first", "second"))
    for number, directory in enumerate((first, second)):
        set_provenance(directory, commit="1a2b3c4d5e6f" if number == 0 else "ffff0000ffff")
    for seed, gain in enumerate([0.03, 0.031, 0.029, 0.032, 0.03]):
        value = load(first).arm("h_swish").values("test/acc1")[seed]
        edit_result(second, "h_swish", seed, metrics={"test/acc1": value + gain})
    return first, second


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_arms_are_paired_by_seed_with_scipys_p_value_and_holms_correction(two):
    found = compare_runs(load(two[0]), load(two[1]))
    pair = next(pair for pair in found.pairs if pair.arm == "h_swish")
    before, after = (list(load(directory).arm("h_swish").values("test/acc1").values()) for directory in two)
    assert pair.comparison.difference.mean == pytest.approx(np.mean(np.subtract(after, before)))
    assert pair.comparison.p_value == pytest.approx(scipy_stats.ttest_rel(after, before).pvalue)
    assert pair.comparison.p_holm == pytest.approx(5 * pair.comparison.p_value)
    assert pair.comparison.verdict == "better"
    assert found.comparisons == 5


def test_a_larger_loss_is_worse(two):
    for directory in two:
        edit_plan(directory, metric={"name": "test/loss", "direction": "min"})
        for seed in range(5):
            edit_result(directory, "relu6", seed, metrics={"test/loss": 0.5 + 0.001 * seed * (directory == two[0])})
    for seed in range(5):
        edit_result(two[1], "relu6", seed, metrics={"test/loss": 0.7 + 0.002 * seed})
    (pair,) = (pair for pair in compare_runs(load(two[0]), load(two[1])).pairs if pair.arm == "relu6")
    assert pair.comparison.verdict == "worse"
    assert pair.comparison.improvement.share == 0.0


def test_only_seeds_that_both_have_are_compared(two):
    edit_result(two[1], "h_swish", 2, status="failed", cause="", metrics={})
    edit_plan(two[0], seeds=[0, 1, 2, 3])
    (pair,) = (pair for pair in compare_runs(load(two[0]), load(two[1])).pairs if pair.arm == "h_swish")
    assert pair.comparison.seeds == (0, 1, 3)
    assert (pair.first.n, pair.second.n) == (4, 4)


def test_the_table_says_what_is_identical_better_and_changed(two, capsys):
    text = printed(capsys, *two, "--format", "markdown")
    row = next(line for line in text.splitlines() if line.startswith("| h_swish |"))
    assert "+0.030 ± 0.001" in row
    assert "| 1.00 (5 of 5) | better |" in row
    assert sum("| identical |" in line for line in text.splitlines()) == 4
    assert "| commit | 1a2b3c4d5e | ffff0000ff |" in text
    assert "corrected by Holm over 5 comparisons" in text


def test_a_machine_that_differs_is_named_even_where_trials_do_not_tell(tmp_path, capsys):
    first, second = (make_finished_ablation(tmp_path / name, seeds=(0, 1)) for name in ("first", "second"))
    edit_plan(second, machine={"cpu": "another CPU", "cores": 64, "threads": 1, "workers": 2})
    text = printed(capsys, first, second, "--format", "markdown")
    assert "| machine: cpu | an x86 CPU | another CPU |" in text
    assert "| machine: cores | 2 | 64 |" in text


def test_a_directory_that_mixes_versions_shows_all_of_them(two, capsys):
    set_trial_provenance(two[0], "relu6", 1, commit="beef00000000")
    assert "| commit | 1a2b3c4d5e / beef000000 | ffff0000ff |" in printed(capsys, *two, "--format", "markdown")


def test_equal_conditions_are_reported_as_equal(two, capsys):
    text = printed(capsys, two[0], two[0])
    assert "No difference was recorded in code, packages, data or machine." in text
    assert text.count("identical") >= 5


def test_arms_of_one_name_and_two_configs_are_named(two, capsys):
    plan = json.loads((two[1] / "ablation.json").read_text())
    plan["arms"]["relu6"]["id"] = "changed"
    (two[1] / "ablation.json").write_text(json.dumps(plan))
    for seed in range(5):
        edit_result(two[1], "relu6", seed, id="changed")
    assert "Config ids differ for relu6: these arms have the same name" in " ".join(printed(capsys, *two).split())


def test_arms_of_one_directory_alone_are_named(tmp_path, capsys):
    first, second = make_arms(tmp_path / "a", ["x", "y", "z"], 2), make_arms(tmp_path / "b", ["x", "w"], 2)
    text = " ".join(printed(capsys, first, second).split()).replace(" ", "")
    assert f"Onlyin{first}:yandz." in text
    assert f"Onlyin{second}:w." in text


def test_the_csv_has_every_digit(two, capsys):
    rows = {row["arm"]: row for row in csv.DictReader(io.StringIO(printed(capsys, *two, "--format", "csv")))}
    found = {pair.arm: pair for pair in compare_runs(load(two[0]), load(two[1])).pairs}
    assert float(rows["h_swish"]["difference"]) == found["h_swish"].comparison.difference.mean
    assert float(rows["h_swish"]["p_holm"]) == found["h_swish"].comparison.p_holm
    assert rows["relu6"]["first_id"] == rows["relu6"]["second_id"]
    assert rows["relu6"]["changes"] == "commit: 1a2b3c4d5e / ffff0000ff"


def test_the_table_fits_in_80_columns(two):
    script = "import sys; from vitcli.commands.compare import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, two)], check=True, capture_output=True, text=True,
        env={"COLUMNS": "80", "PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    *lines, torch = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert torch == "False"
    assert any(line.startswith("no_depthwise 5 ") and "identical" in line for line in lines)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"metric": {"name": "test/loss", "direction": "min"}},
            "their metrics differ, test/acc1 (max) and test/loss (min)",
        ),
        (
            {"metric": {"name": "test/acc1", "direction": "min"}},
            "their metrics differ, test/acc1 (max) and test/acc1 (min)",
        ),
        (
            {"arms": {"other": {"id": "0", "difference": {}}}, "baseline": "other"},
            "they have no arm in common (relu6, h_swish, h_swish_eca, h_swish_se4 and no_depthwise; other)",
        ),
    ],
)
def test_directories_that_cannot_be_compared_are_refused_in_one_sentence(two, change, sentence):
    edit_plan(two[1], **change)
    with pytest.raises(ConfigError) as error:
        main([str(two[0]), str(two[1])])
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "compare needs two directories"),
        (["a"], "compare needs two directories"),
        (["a", "b", "c"], "compare needs two directories"),
        (["a", "b", "--format", "html"], "--format is 'html'; expected table, markdown, csv."),
        (["a", "b", "--formt", "csv"], "no option '--formt'; did you mean --format?"),
        (["nowhere", "b"], "nowhere/ablation.json: no such file"),
    ],
)
def test_words_that_make_no_sense_are_one_sentence(words, sentence):
    with pytest.raises(ConfigError) as error:
        main(words)
    assert sentence in str(error.value)

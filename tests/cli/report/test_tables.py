import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.ablation_directory import edit_result, make_ablation, write_plan, write_trial
from vitcli.records.ablation import load
from vitcli.report import Summary, content, summarise, to_csv, to_markdown, to_terminal, write


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return make_ablation(tmp_path / "localvit_act")


def terminal(summary: Summary, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(to_terminal(summary))
    return console.export_text().splitlines()


def report(directory: Path) -> str:
    return write(directory).read_text()


def set_accuracy(directory: Path, arm: str, values: list[float]) -> None:
    for seed, value in enumerate(values):
        edit_result(directory, arm, seed, status="done", metrics={"test/acc1": value}, id=load(directory).arm(arm).id)


def test_every_arm_has_one_line_of_at_most_100_columns(runs):
    lines = terminal(summarise(load(runs)), 100)
    for arm in ("relu6", "h_swish", "h_swish_eca", "h_swish_se4", "no_depthwise"):
        assert sum(line.split()[:1] == [arm] for line in lines) == 1
    assert max(map(len, lines)) <= 100
    assert next(line for line in lines if line.startswith("no_depthwise ")).split()[1] == "4"


def test_no_number_breaks_at_80_columns(runs):
    lines = terminal(summarise(load(runs)), 80)
    assert max(map(len, lines)) <= 80
    assert sum(" ± " in line for line in lines) == 5
    assert sum(" ± " in line and line.count(" ± ") == 2 for line in lines) == 4


def test_the_table_says_what_its_intervals_are(runs):
    text = " ".join(" ".join(terminal(summarise(load(runs)), 100)).split())
    assert "95 % t-interval over n seeds" in text
    assert "p is corrected for 4 comparisons" in text


def test_the_csv_has_every_digit_and_nothing_where_there_is_no_number(runs):
    rows = {row["arm"]: row for row in csv.DictReader(io.StringIO(to_csv(summarise(load(runs)))))}
    values = list(load(runs).arm("h_swish").values("test/acc1").values())
    assert float(rows["h_swish"]["mean"]) == pytest.approx(sum(values) / 4, rel=1e-15)
    assert float(rows["h_swish"]["low"]) < float(rows["h_swish"]["mean"]) < float(rows["h_swish"]["high"])
    assert rows["relu6"]["p_corrected"] == rows["relu6"]["difference"] == ""
    assert (rows["relu6"]["verdict"], rows["h_swish_se4"]["verdict"]) == ("baseline", "better")
    assert rows["h_swish_se4"]["parameters"] == "151200"


def test_costs_are_means_over_the_done_trials(runs):
    for seed in range(5):
        edit_result(runs, "relu6", seed, train_seconds=10.0 + seed, train_images=3600)
    row = summarise(load(runs)).row("relu6")
    assert row.train_seconds == pytest.approx(12.0)
    assert row.images_per_second == pytest.approx(300.0)


def test_the_answer_says_what_is_better_worse_and_unknown_with_its_evidence(runs):
    set_accuracy(runs, "relu6", [0.80, 0.82, 0.81, 0.79, 0.80])
    set_accuracy(runs, "h_swish", [0.81, 0.81, 0.83, 0.785, 0.80])
    set_accuracy(runs, "h_swish_eca", [0.80, 0.82, 0.81, 0.79, 0.80])
    set_accuracy(runs, "h_swish_se4", [0.83, 0.855, 0.84, 0.815, 0.83])
    set_accuracy(runs, "no_depthwise", [0.77, 0.792, 0.78, 0.761, 0.77])
    answer = next(line for line in report(runs).splitlines() if line.startswith("**Answer.**"))
    for sentence in (
        "h_swish_se4 is better than relu6 by 0.030 [0.023, 0.037] in test/acc1, p < 0.001 (5 pairs of seeds).",
        "no_depthwise is worse than relu6 by 0.029",
        "Whether there is a difference from relu6 stays open for h_swish (p = 0.85, 5 pairs of seeds), "
        "h_swish_eca (identical in all 5 seeds).",
        "To find a difference of the observed size, an arm would need this many seeds: 21 to more than 1000 for h_swish.",
    ):
        assert sentence in answer


def test_a_smaller_loss_is_called_better_by_a_positive_amount(runs):
    plan = json.loads((runs / "ablation.json").read_text())
    plan["metric"] = {"name": "test/loss", "direction": "min"}
    (runs / "ablation.json").write_text(json.dumps(plan))
    for arm, level in (("relu6", 0.5), ("h_swish_se4", 0.4)):
        for seed in range(5):
            edit_result(runs, arm, seed, metrics={"test/loss": level + 0.001 * (seed if arm == "relu6" else 0)})
    text = report(runs)
    # Only the baseline varies: standard error 0.00158 / sqrt(5) = 0.00071, times 4.28, which is t(4) at 1.3 % for each of four.
    assert "h_swish_se4 is better than relu6 by 0.102" in text
    assert "[0.099, 0.105] in test/loss" in text
    assert "-0.102 [-0.105, -0.099]" in text
    assert "a smaller test/loss is better" in text


def test_the_report_names_every_trial_that_is_not_used_with_its_cause(runs):
    shutil.rmtree(runs / "relu6" / "seed2")
    text = report(runs)
    assert "| h_swish/seed3 | failed | the loss is NaN in epoch 7 |" in text
    assert "| no_depthwise/seed4 | stale | made by the config 0123456789ab" in text
    assert "| relu6/seed2 | unfinished | not started |" in text
    assert "22 of 25 planned trials are used; the others are listed below." in text


def test_the_report_shows_the_resolved_difference_of_each_arm_and_how_it_was_run(runs):
    text = report(runs)
    key = "model.backbone.every.feed_forward.op"
    assert f"| h_swish_se4 | `{key}.channel_attention` | `Identity` | `SqueezeExcitation(reduction=4)` |" in text
    for part in (
        "vitcli fit --config ablations/localvit_act.yaml",
        "torch 2.15.0",
        "cores 2",
        "**threads per trial**: 1",
    ):
        assert part in text
    assert "**seeds**: 0, 1, 2, 3, 4 (the same for every arm)" in text


def test_figures_are_linked_only_if_they_exist(runs):
    ablation = load(runs)
    assert "arms.png" not in to_markdown(content(ablation, summarise(ablation), []))
    text = report(runs)
    assert "](arms.png)" in text
    assert "](curves.png)" in text


def test_a_bar_in_a_cause_does_not_break_the_table(runs):
    edit_result(runs, "h_swish", 3, cause="a | b\nc")
    assert "| h_swish/seed3 | failed | a \\| b c |" in report(runs)


def test_an_ablation_that_has_not_started_has_a_report(tmp_path):
    write_plan(tmp_path)
    text = report(tmp_path)
    assert "No answer yet: the baseline relu6 has no usable trial" in text
    assert "arms.png" not in text
    assert max(map(len, terminal(summarise(load(tmp_path)), 80))) <= 80


def test_one_seed_has_means_and_no_verdict(tmp_path):
    write_plan(tmp_path)
    for arm in ("relu6", "h_swish"):
        write_trial(tmp_path, arm, 0)
    text = report(tmp_path)
    assert "Not compared yet, because the arm or relu6 has fewer than two seeds: h_swish, h_swish_eca" in text
    row = next(line for line in text.splitlines() if line.startswith("| h_swish |"))
    assert "±" not in row
    assert "not compared" in row


def test_the_report_is_written_again_without_the_figures_that_lost_their_numbers(runs):
    write(runs)
    for arm in runs.glob("*/seed*"):
        shutil.rmtree(arm)
    assert "arms.png" not in report(runs)
    assert not (runs / "arms.png").exists()

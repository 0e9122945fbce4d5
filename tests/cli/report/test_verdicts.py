"""Which comparison a report makes, which looks it counts, and what it says of both."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.ablation_directory import edit_plan, edit_result, make_arms
from vitcli.records.ablation import load
from vitcli.report import Summary, summarise
from vitcli.report.conclusion import conclusion
from vitcli.report.how_compared import how_compared, looks_taken
from vitcli.report.methods import stopped_arms
from vitcli.report.tables import results

ARMS = ("base", "same", "better", "worse")
SHIFTS = (0.0, 0.0, 0.1, -0.1)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Ten seeds of each arm that have nothing in common, with a standard deviation of 0.01."""
    directory = make_arms(tmp_path / "ablation", ARMS, 10, epochs=1)
    values = np.random.default_rng(3).normal(0.8, 0.01, (4, 10)) + np.array(SHIFTS)[:, None]
    for arm, row in zip(ARMS, values, strict=True):
        for seed, value in enumerate(row):
            edit_result(directory, arm, seed, metrics={"test/acc1": float(value)})
    return directory


def reported(directory: Path, **plan: Any) -> Summary:
    edit_plan(directory, **plan)
    return summarise(load(directory))


def verdict(summary: Summary) -> list[str]:
    return [row.verdict for row in summary.rows]


def looked_at(*counts: int, looks: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    return [
        {"at": f"2026-01-0{day}", "seeds": dict.fromkeys(ARMS, count), "looks": list(looks)}
        for day, count in enumerate(counts, 1)
    ]


def test_the_baseline_may_have_more_seeds_and_all_of_them_are_used(runs):
    summary = reported(runs, seeds=[0, 1, 2, 3, 4], baseline_seeds=list(range(10)))
    assert verdict(summary) == ["baseline", "open", "better", "worse"]
    one = summary.row("better").difference
    assert (len(one.arm_seeds), len(one.baseline_seeds)) == (5, 10)
    assert "(5 seeds against 10)" in conclusion(summary)


def test_the_report_says_what_was_compared_and_the_measured_correlation(runs):
    assert how_compared(reported(runs)).startswith("The correlation of arms and baseline over equal seeds is ")
    assert how_compared(reported(runs)).endswith("): means were compared.")
    declared = how_compared(reported(runs, pairing="seeds"))
    assert declared.startswith("Pairs of equal seeds were compared, as declared (pairing: seeds). The correlation")
    assert declared.endswith(", so the data do not show that pairs help.")
    assert how_compared(reported(runs, pairing="none")).startswith("Means were compared, as declared (pairing: none).")
    assert "There are too few equal seeds" in how_compared(reported(runs, seeds=[0, 1], pairing="estimated"))


def test_the_report_names_arms_whose_means_are_compared_where_others_have_pairs(runs):
    common = np.random.default_rng(4).normal(0.8, 0.01, 10)
    for arm, shift in zip(ARMS, SHIFTS, strict=True):
        for seed, value in enumerate(common + shift):
            edit_result(runs, arm, seed, metrics={"test/acc1": float(value + 1e-4 * len(arm) * (seed % 3))})
    for arm, lost in (("base", (8, 9)), ("worse", range(7))):
        for seed in lost:
            edit_result(runs, arm, seed, status="failed", metrics={})
    summary = reported(runs)
    sentence = (
        "pairs of equal seeds (means for worse: fewer than two seeds are shared with the baseline) were compared."
    )
    assert how_compared(summary).endswith(sentence)
    assert "8 pairs of seeds" in conclusion(summary)
    assert "3 seeds against 8" in conclusion(summary)


def test_declared_pairs_need_two_common_seeds(runs):
    for seed in range(1, 10):
        edit_result(runs, "worse", seed, status="failed", metrics={})
    assert "fewer than two seeds are shared with base: worse." in conclusion(reported(runs, pairing="seeds"))


def test_a_margin_makes_small_differences_equivalent(runs):
    summary = reported(runs, margin=0.03)
    assert verdict(summary) == ["baseline", "equivalent", "better", "worse"]
    assert "same is equivalent to base: the difference in test/acc1, " in conclusion(summary)
    assert "lies within the margin of 0.03 (10 seeds against 10)." in conclusion(summary)
    wide = reported(runs, margin=0.2)
    assert verdict(wide)[2:] == ["better and equivalent", "worse and equivalent"]
    assert ", and equivalent within the margin of 0.2." in conclusion(wide)


@pytest.mark.slow
def test_a_disagreement_of_p_and_interval_is_reported(runs):
    found = None
    for shift in np.arange(0.0, 0.02, 0.0002):
        for seed in range(10):
            value = load(runs).arm("base").values("test/acc1")[seed]
            edit_result(runs, "same", seed, metrics={"test/acc1": value + shift + 0.013 * (-1) ** seed})
        summary = reported(runs)
        if summary.row("same").difference.interval_holds_zero:
            found = conclusion(summary)
            break
    assert found is not None
    assert "For same p and interval disagree: the corrected p-value finds a difference" in found


def test_a_single_look_needs_no_words_and_the_same_seeds_again_are_not_a_look(runs):
    assert looks_taken(reported(runs)) == ""
    assert looks_taken(reported(runs, reports=looked_at(10, 10))) == ""


def test_a_report_that_could_not_test_anything_is_not_a_look(runs):
    assert looks_taken(reported(runs, reports=looked_at(0, 1))) == ""


def test_undeclared_looks_are_counted_bounded_and_mark_what_is_new(runs):
    summary = reported(runs, reports=looked_at(2, 5, 5))
    assert summary.verdicts.undeclared == 3
    assert looks_taken(summary) == (
        "This is look 3 at the results, and looks were not declared: the chance of any false better or worse over all of them "
        "is at most 15 % instead of 5 %; for better and worse the verdicts are new since the first look and exploratory."
    )
    assert [row[-1] for row in results(summary).rows] == [
        "baseline", "open", "better (exploratory)", "worse (exploratory)",
    ]  # fmt: skip
    assert "; this is exploratory, because the first look did not show it." in conclusion(summary)


def test_a_verdict_that_the_first_look_gave_is_not_exploratory(runs):
    summary = reported(runs, reports=looked_at(8))
    assert summary.verdicts.undeclared == 2
    assert not any(row.exploratory for row in summary.rows)
    assert "is at most 10 % instead of 5 %." in looks_taken(summary)


def test_looks_that_were_declared_after_a_report_do_not_hide_it(runs):
    sentence = looks_taken(reported(runs, looks=[5, 10], seeds=list(range(10)), reports=looked_at(3, 5, looks=(5,))))
    assert sentence.endswith(
        "2 reports were made before these looks were declared: the chance of any false better or worse over all of them is at "
        "most 15 %."
    )


def test_declared_looks_decide_with_their_own_seeds_and_levels(runs):
    summary = reported(runs, looks=[5, 10, 20], seeds=list(range(20)), reports=looked_at(2, 5, 7, looks=(5, 10, 20)))
    assert verdict(summary) == ["baseline", "open", "better", "worse"]
    assert [len(row.difference.arm_seeds) for row in summary.rows[1:]] == [10, 5, 5]
    assert looks_taken(summary) == (
        "Declared looks share the 5 %: 5 seeds (5 of base) at 1.25 %, 10 seeds (10 of base) at 1.25 % and 20 seeds (20 of base) "
        "at 2.5 %; 2 of 3 were made. An arm keeps verdict, difference and interval of the look that decided it."
    )
    assert not any(row.exploratory for row in summary.rows)


def test_before_the_first_declared_look_nothing_is_compared(runs):
    summary = reported(runs, looks=[15, 20], seeds=list(range(20)), baseline_seeds=list(range(40)))
    assert verdict(summary) == ["baseline", *["not compared"] * 3]
    assert "the first declared look needs 15 seeds of every arm and 30 of the baseline: same" in conclusion(summary)
    assert how_compared(summary) == ""


def test_a_failed_trial_does_not_hold_up_a_declared_look(runs):
    edit_result(runs, "better", 2, status="failed", metrics={})
    summary = reported(runs, looks=[5, 20], seeds=list(range(20)))
    assert summary.row("better").verdict == "better"
    assert summary.row("better").difference.arm_seeds == (0, 1, 3, 4)


def test_a_single_declared_look_is_made_at_its_seeds_and_needs_no_words(runs):
    early = reported(runs, looks=[20], seeds=list(range(20)), reports=looked_at(5, looks=(20,)))
    assert verdict(early)[1:] == ["not compared"] * 3
    done = reported(runs, looks=[10], seeds=list(range(10)), reports=[])
    assert verdict(done) == ["baseline", "open", "better", "worse"]
    assert looks_taken(done) == ""


def test_arms_that_a_look_decided_are_not_reported_as_selected(runs):
    edit_plan(runs, looks=[5, 10], dropped={"better": "decided after look 1 of 2 (5 of 10 seeds): better."})
    assert stopped_arms(load(runs)) == (
        "These arms needed no further seeds after a declared look. Their intervals and p-values account for the looks. "
        "better: decided after look 1 of 2 (5 of 10 seeds): better."
    )

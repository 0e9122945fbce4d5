"""What docs/statistics.md says of errors and power, by simulation; benchmarks/evidence.py has more cases and repetitions."""

import math

import numpy as np
import pytest
from benchmarks.simulation import Design, all_tests, samples, simulate

from vitcli.statistics.against_baseline import compare_with_baseline
from vitcli.statistics.joint import joint_error, step_down
from vitcli.statistics.looks import Look
from vitcli.statistics.significance import holm, t_test

REPETITIONS = 4000
ALLOWED = 0.05 + 3 * math.sqrt(0.05 * 0.95 / REPETITIONS)
FOUR = (1.0,) * 4
DEMO = {"spreads": (0.017, 0.004, 0.010, 0.012), "baseline_spread": 0.033, "effects": (0.04,) * 4}


def test_the_simulated_tests_are_those_of_the_report():
    design = Design((Look(6, 4),), (1.0, 3.0, 0.5), 2.0, 0.5, (1.0, 0.0, 2.0))
    baseline, arms = next(samples(design, 20, 0))
    tests, pairs = all_tests(baseline, arms)
    adjusted = step_down(tests.p_values, tests.shared)
    for i in range(20):
        named = {str(j): dict(enumerate(arm.tolist())) for j, arm in enumerate(arms[i])}
        found = compare_with_baseline(dict(enumerate(baseline[i].tolist())), named, "max")
        assert found.pairing == ("seeds" if pairs[i] else "none")
        assert [one.p_adjusted for one in found.differences.values()] == pytest.approx(adjusted[i].tolist())
        simultaneous = not any(one.interval[0] <= 0 <= one.interval[1] for one in found.differences.values())
        smallest = float(joint_error(tests.p_values[i].min(), tests.shared[i]))
        assert (smallest <= 0.05) >= simultaneous


def test_rates_are_shares_of_the_right_things():
    sure = simulate(Design((Look(5, 5),), (0.01, 0.01), 0.01, effects=(9.0, 9.0)), 200)
    assert (sure.family_error, sure.power, sure.power_any) == (0, 1, 1)
    assert math.isnan(simulate(Design((Look(5, 5),), FOUR), 200).power)
    assert simulate(Design((Look(5, 5),), FOUR, 1.0, 0.999), 200).paired == 1


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [Look(3, 3), Look(5, 5), Look(10, 10), Look(10, 5), Look(9, 3), Look(15, 5)], ids=str)
@pytest.mark.parametrize("comparisons", [1, 4, 18])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_a_verdict_is_false_in_at_most_5_percent_of_experiments_and_intervals_hold_jointly(
    seeds, comparisons, correlation
):
    for baseline, arm in ((1, 1), (3, 1), (1, 3), (9, 1), (1, 9)):
        rates = simulate(Design((seeds,), (float(arm),) * comparisons, float(baseline), correlation), REPETITIONS)
        assert rates.family_error <= ALLOWED
        assert rates.coverage >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("effects", [(0.0, 1.0, 2.0, 4.0), (0.0, 9.0, 9.0, 9.0), (0.0, 0.0, 9.0, 9.0)])
def test_arms_that_differ_do_not_raise_the_error_of_those_that_do_not(effects):
    for spreads in ((1.0, 1.0, 1.0, 1.0), (3.0, 1.0, 1.0, 3.0), (1.0, 3.0, 0.3, 1.0)):
        rates = simulate(Design((Look(10, 5),), spreads, effects=effects), REPETITIONS)
        assert rates.family_error <= ALLOWED
        assert rates.coverage >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("looks", [(5, 10), (5, 10, 20), (3, 6)])
def test_declared_looks_share_the_error(looks):
    for arm in (1.0, 3.0):
        rates = simulate(Design(tuple(Look(2 * n, n) for n in looks), (arm,) * 4), REPETITIONS)
        assert rates.family_error <= ALLOWED
        assert rates.coverage >= 0.94


@pytest.mark.slow
def test_undeclared_looks_raise_the_error_but_not_beyond_the_bound():
    found = []
    for baseline, arms in samples(Design((Look(20, 20),), FOUR), REPETITIONS, 0):
        tests = [all_tests(baseline[:, :n], arms[..., :n])[0] for n in (5, 8, 10, 15, 20)]
        found.append(np.any([step_down(test.p_values, test.shared).min(-1) <= 0.05 for test in tests], axis=0))
    assert 0.08 < np.concatenate(found).mean() < 0.25


@pytest.mark.slow
def test_the_demo_finds_an_arm_in_two_of_three_experiments_with_thirty_trials():
    assert simulate(Design((Look(10, 5),), **DEMO), REPETITIONS).power >= 0.65
    assert simulate(Design((Look(5, 5),), **DEMO), REPETITIONS).power < 0.45


@pytest.mark.slow
def test_pairs_that_help_are_found_and_give_most_of_the_power_of_declared_pairs():
    design = Design((Look(10, 10),), FOUR, 1.0, 0.5, (1.2,) * 4)
    declared = [holm(t_test(arms - baseline[:, None])) <= 0.05 for baseline, arms in samples(design, REPETITIONS, 0)]
    unpaired = Design((Look(10, 10),), FOUR, 1.0, 0.0, (1.2,) * 4)
    rates = simulate(design, REPETITIONS)
    assert rates.power > 0.8 * np.concatenate(declared).mean()
    assert rates.power > simulate(unpaired, REPETITIONS).power


@pytest.mark.slow
def test_all_kinds_of_verdicts_together_are_false_in_at_most_seven_and_a_half_percent():
    rng, false = np.random.default_rng(0), 0
    truth = np.array([0.0, 0.0, 1.0, -1.0])
    for _ in range(REPETITIONS // 2):
        baseline, arms = rng.normal(0, 0.5, 10), rng.normal(truth[:, None], 0.5, (4, 10))
        named = {str(i): dict(enumerate(arm.tolist())) for i, arm in enumerate(arms)}
        found = compare_with_baseline(dict(enumerate(baseline.tolist())), named, "max", margin=1.0)
        verdicts = [one.verdict for one in found.differences.values()]
        wrong = [("better", "worse"), ("better", "worse"), ("worse",), ("better",)]
        signs = any(verdict.startswith(bad) for verdict, bad in zip(verdicts, wrong, strict=True))
        false += signs or any("equivalent" in verdict for verdict in verdicts[2:])
    assert false / (REPETITIONS // 2) <= 0.075

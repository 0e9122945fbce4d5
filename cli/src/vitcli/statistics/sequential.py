"""Racing: which arms are clearly worse than the baseline and need no further seeds, from the values so far."""

import math
from collections.abc import Mapping

import numpy as np

from vitcli.statistics.comparison import Comparison, Direction, compare
from vitcli.statistics.significance import holm


def arms_to_stop(
    values: Mapping[str, Mapping[int, float]],
    baseline: str,
    direction: Direction,
    after: int,
    level: float,
    seeds: int,
) -> dict[str, str]:
    """Return the arms that are significantly worse than the baseline, each with a sentence that gives the numbers.

    There is a look after each of the first ``after``, ``after + 1``, ..., ``seeds - 1`` seeds: ``seeds - after`` looks. Each
    tests every arm that is still in the race with a one-sided paired t-test (is the arm worse than the baseline?) on the seeds
    up to there, and stops those whose p-value, corrected by Holm over the arms in the race, is at most ``level`` / looks.

    Error: the chance that any arm that is not worse than the baseline is stopped at any look is at most ``level``, whatever the
    correlation between the arms, provided that differences vary normally over seeds. The first such mistake can happen at any
    look; at that look all arms that are not worse are still in the race, so that Holm bounds its chance by ``level`` / looks, and
    the looks add up. The numbers of seeds and arms must be fixed beforehand, because the thresholds depend on them.

    The baseline is never stopped. Arms are compared with it and not with the best arm so far, because that is the comparison
    that the report makes, and an arm that trails the best may still be the answer to the question.

    A look at n seeds uses only the values of seeds 0 .. n - 1, and an arm that lacks one of them is not tested at that look.
    Which arms are stopped therefore does not depend on the order in which trials end: later values never bring an arm back.

    Args:
        values: Arm -> seed -> value. A trial that failed has NaN, and its pair is left out; one that has not ended is absent.
        baseline: The arm compared with.
        direction: Whether larger (``max``) or smaller (``min``) is better.
        after: Seeds before the first look, at least 3.
        level: Chance of stopping any arm by mistake.
        seeds: Number of planned seeds.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979; the
        looks share the level as in Bonferroni's inequality.
    """
    looks = max(1, seeds - after)
    racing = [arm for arm in values if arm != baseline]
    found: dict[str, str] = {}
    for n in range(after, seeds):
        ready = {arm: _first(values[arm], n) for arm in (baseline, *racing) if _has(values[arm], n)}
        if baseline not in ready:
            break
        comparisons = compare(ready, baseline, direction)
        p_values = np.array([_worse(comparisons.get(arm), direction, after) for arm in racing], dtype=np.float64)
        adjusted = holm(p_values) if racing else p_values
        for arm, p_value, p_holm in zip(list(racing), p_values, adjusted, strict=True):
            if p_holm <= level / looks:
                racing.remove(arm)
                mean = comparisons[arm].difference.mean or 0.0
                found[arm] = (
                    f"stopped after {n} of {seeds} seeds: {mean:+.4g} against {baseline} in the mean of "
                    f"{len(comparisons[arm].seeds)} pairs, one-sided p = {p_value:.2g}, {p_holm:.2g} after Holm over "
                    f"{len(p_values)} arms, at most {level / looks:.2g} needed (level {level:g} over {looks} looks)."
                )
    return found


def _has(values: Mapping[int, float], n: int) -> bool:
    return all(seed in values for seed in range(n))


def _first(values: Mapping[int, float], n: int) -> dict[int, float]:
    """Return the finite values of the first n seeds."""
    return {seed: values[seed] for seed in range(n) if math.isfinite(values[seed])}


def _worse(comparison: Comparison | None, direction: Direction, fewest: int) -> float:
    """Return the one-sided p-value for "worse than the baseline"; 1 where there is no test, or too few pairs for one."""
    if comparison is None or comparison.p_value is None or len(comparison.seeds) < fewest:
        return 1.0
    mean = comparison.difference.mean or 0.0
    behind = mean < 0 if direction == "max" else mean > 0
    return comparison.p_value / 2 if behind else 1 - comparison.p_value / 2

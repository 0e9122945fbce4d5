"""Racing: which arms are clearly worse than the baseline and need no further seeds, from the values so far."""

import math
from collections.abc import Mapping

from vitcli.statistics.against_baseline import Comparisons, Pairing, compare_with_baseline
from vitcli.statistics.comparison import BySeed, Direction


def arms_to_stop(
    values: Mapping[str, BySeed],
    baseline: str,
    direction: Direction,
    after: int,
    level: float,
    seeds: int,
    pairing: Pairing = "estimated",
) -> dict[str, str]:
    """Return the arms that are significantly worse than the baseline, each with a sentence that gives the numbers.

    There is a look after each of the first ``after``, ``after + 1``, ..., ``seeds - 1`` seeds: ``seeds - after`` looks. Each
    compares every arm that is still in the race with the baseline, on the seeds up to there, by the test of the report
    (``compare_with_baseline``) at ``level`` / looks, and stops those that are worse.

    Error: the chance that any arm that is not worse than the baseline is stopped at any look is at most ``level``, as far as
    results vary normally over seeds. The first such mistake can happen at any look; at that look all arms that are not worse
    are still in the race, so that the comparison bounds its chance by ``level`` / looks, and the looks add up. The numbers of
    seeds and arms must be fixed beforehand, because the thresholds depend on them.

    The baseline is never stopped. Arms are compared with it and not with the best arm so far, because that is the comparison
    that the report makes, and an arm that trails the best may still be the answer to the question.

    A look at n seeds uses only the values of seeds 0 .. n - 1, and it waits until the baseline and all arms in the race have
    ended these seeds. Which arms are stopped therefore does not depend on the order in which trials end: later values never
    bring an arm back.

    Args:
        values: Arm -> seed -> value. A trial that failed has NaN and is left out; one that has not ended is absent. An arm with
            fewer than ``after`` values at a look is not tested there.
        baseline: The arm compared with.
        direction: Whether larger (``max``) or smaller (``min``) is better.
        after: Seeds before the first look, at least 3.
        level: Chance of stopping any arm by mistake.
        seeds: Number of planned seeds of every arm but the baseline.
        pairing: As in ``compare_with_baseline``.
    """
    looks = max(1, seeds - after)
    racing = [arm for arm in values if arm != baseline]
    found: dict[str, str] = {}
    for n in range(after, seeds):
        if not all(_has(values[arm], n) for arm in (baseline, *racing)):
            break
        tested = {arm: seen for arm in racing if len(seen := _first(values[arm], n)) >= after}
        compared = compare_with_baseline(_first(values[baseline], n), tested, direction, pairing, level / looks)
        for arm, difference in compared.differences.items():
            if difference.verdict == "worse":
                racing.remove(arm)
                rule = f"at most {level / looks:.2g} needed (level {level:g} over {looks} look{'s' * (looks > 1)})"
                found[arm] = f"stopped after {n} of {seeds} seeds: {_numbers(arm, compared, baseline)}, {rule}."
    return found


def _numbers(arm: str, compared: Comparisons, baseline: str) -> str:
    one, k = compared.differences[arm], len(compared.differences)
    way = "in pairs of equal seeds" if one.in_pairs else "in the mean"
    return (
        f"{one.value or 0.0:+.4g} against {baseline} {way} over {len(one.arm_seeds)} seeds, "
        f"p = {one.p_adjusted or 0.0:.2g} corrected for {k} comparison{'s' * (k > 1)}"
    )


def _has(values: BySeed, n: int) -> bool:
    return all(seed in values for seed in range(n))


def _first(values: BySeed, n: int) -> dict[int, float]:
    """Return the finite values of the first n seeds."""
    return {seed: values[seed] for seed in range(n) if math.isfinite(values[seed])}

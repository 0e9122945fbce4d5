"""The default comparison of every arm with the baseline: unequal spreads and numbers of seeds, one error for all arms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vitcli.statistics import joint
from vitcli.statistics.comparison import BySeed, Direction
from vitcli.statistics.pairing import SeedCorrelation, seed_correlation
from vitcli.statistics.significance import ALPHA, Floats
from vitcli.statistics.unequal_spreads import MeanTests, Moments, paired, welch

Pairing = Literal["estimated", "seeds", "none"]
Verdict = Literal[
    "better", "worse", "equivalent", "better and equivalent", "worse and equivalent", "open", "not compared"
]
Sign = Literal["better", "worse", "same"]
Interval = tuple[float, float]

VERDICTS: dict[tuple[Sign, bool], Verdict] = {
    ("better", False): "better",
    ("worse", False): "worse",
    ("same", False): "open",
    ("better", True): "better and equivalent",
    ("worse", True): "worse and equivalent",
    ("same", True): "equivalent",
}
"""By what the corrected p-value says, and whether the interval lies within the margin."""


@dataclass(frozen=True)
class Difference:
    """One arm against the baseline. What is not defined is None.

    Args:
        arm_seeds, baseline_seeds: The seeds whose results are used; the same ones where pairs are compared.
        value: Mean of the arm - mean of the baseline, in the metric's own unit and sign.
        standard_error, degrees: Standard error of ``value`` and its degrees of freedom.
        p_value: Two-sided, of this comparison alone.
        p_adjusted: The same, corrected for all comparisons, step by step.
        interval: Ends of the simultaneous interval.
        verdict: ``better`` or ``worse`` if ``p_adjusted`` is at most the level; ``equivalent`` if a margin is declared and the
            interval lies within it; ``open`` if neither; ``not compared`` with fewer than two seeds on either side.
        in_pairs: Whether pairs of equal seeds were compared, and not means.
    """

    arm_seeds: tuple[int, ...]
    baseline_seeds: tuple[int, ...]
    value: float | None = None
    standard_error: float | None = None
    degrees: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    interval: Interval | None = None
    verdict: Verdict = "not compared"
    in_pairs: bool = False

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, whose middle is ``value``."""
        return None if self.interval is None else (self.interval[1] - self.interval[0]) / 2

    @property
    def interval_holds_zero(self) -> bool:
        """The verdict is better or worse, by the corrected p-value, but the wider simultaneous interval holds 0."""
        found = self.verdict.startswith(("better", "worse"))
        return found and self.interval is not None and self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True)
class Comparisons:
    """All arms against the baseline.

    Args:
        differences: Arm -> its comparison, in the order of the arms.
        pairing: ``seeds`` if pairs of equal seeds were compared wherever an arm shares two seeds with the baseline, ``none`` if
            means were; ``Difference.in_pairs`` says it of each arm.
        correlation: Correlation of arms and baseline over equal seeds; None where the seeds do not suffice for one.
        level: Chance of one or more false "better" or "worse".
        level_of_each: Each interval alone fails with this chance, so that any fails with a chance of at most ``level``;
            None without a test.
    """

    differences: dict[str, Difference]
    pairing: Literal["seeds", "none"]
    correlation: SeedCorrelation | None
    level: float
    level_of_each: float | None

    @property
    def open(self) -> tuple[str, ...]:
        """Arms without an answer, which further seeds may give."""
        return tuple(name for name, one in self.differences.items() if one.verdict in ("open", "not compared"))


def compare_with_baseline(
    baseline: BySeed,
    arms: Mapping[str, BySeed],
    direction: Direction,
    pairing: Pairing = "estimated",
    level: float = ALPHA,
    margin: float | None = None,
) -> Comparisons:
    """Compare every arm with the baseline.

    Args:
        baseline: Seed -> finite value.
        arms: Arm -> seed -> finite value; the baseline is not among them.
        direction: Whether larger (``max``) or smaller (``min``) is better.
        pairing: ``seeds`` compares pairs of equal seeds, ``none`` means of all seeds, and ``estimated`` pairs if the data
            show a correlation between arms and baseline, else means.
        level: Chance of one or more false "better" or "worse".
        margin: The smallest difference that matters, positive.
    """
    noise = _rounding([baseline, *arms.values()])
    baseline, arms = _settled(baseline, noise), {name: _settled(arm, noise) for name, arm in arms.items()}
    correlation = _correlation(baseline, arms)
    used = _used_pairing(pairing, correlation)
    found: dict[str, Difference] = {}
    tests: dict[str, MeanTests] = {}
    for name, arm in arms.items():
        common = tuple(sorted(arm.keys() & baseline.keys()))
        in_pairs = pairing == "seeds" or (used == "seeds" and len(common) > 1)
        difference, test = _tested(arm, baseline, common if in_pairs else None, noise)
        found[name] = replace(difference, in_pairs=in_pairs)
        if test is not None:
            tests[name] = test
    if not tests:
        return Comparisons(found, used, correlation, level, None)
    shared = np.array([float(test.shared) for test in tests.values()])
    adjusted = joint.step_down(np.array([float(test.p_values) for test in tests.values()]), shared)
    each = joint.level_of_each(shared, level)
    for (name, test), p_adjusted in zip(tests.items(), adjusted, strict=True):
        interval = _interval(test, each)
        sign: Sign = "same" if p_adjusted > level else _sign(float(test.difference), direction)
        verdict = VERDICTS[sign, _within(interval, margin)]
        found[name] = replace(found[name], p_adjusted=float(p_adjusted), interval=interval, verdict=verdict)
    return Comparisons(found, used, correlation, level, each)


def _used_pairing(pairing: Pairing, correlation: SeedCorrelation | None) -> Literal["seeds", "none"]:
    if pairing == "estimated":
        return "seeds" if correlation is not None and bool(correlation.helps) else "none"
    return pairing


def _tested(
    arm: BySeed, baseline: BySeed, pairs: tuple[int, ...] | None, noise: float
) -> tuple[Difference, MeanTests | None]:
    """Return the comparison before correction, and its test where one is defined."""
    own, other = (tuple(sorted(arm)), tuple(sorted(baseline))) if pairs is None else (pairs, pairs)
    if not own or not other:
        return Difference(own, other), None
    ours, theirs = (np.array([of[seed] for seed in seeds]) for of, seeds in ((arm, own), (baseline, other)))
    value = _zero_if_within(float(ours.mean() - theirs.mean()), noise)
    if len(own) < 2 or len(other) < 2:
        return Difference(own, other, value), None
    differences = _equal_if_within(ours - theirs, noise) if pairs is not None else None
    test = welch(Moments.of(theirs), Moments.of(ours)) if differences is None else paired(differences)
    test = replace(test, difference=np.asarray(value))
    p_value = float(test.p_values)
    if np.isnan(p_value):
        return Difference(own, other, value, verdict="open"), None
    return Difference(own, other, value, float(test.standard_error), float(test.degrees), p_value), test


def _interval(test: MeanTests, level: float) -> Interval | None:
    """Return the ends; None for equal results without any spread: no width would claim the most where least is known."""
    from scipy import special

    middle, half = float(test.difference), float(special.stdtrit(test.degrees, 1 - level / 2) * test.standard_error)
    return (middle - half, middle + half) if half else None


def _sign(difference: float, direction: Direction) -> Literal["better", "worse"]:
    return "better" if (difference > 0) == (direction == "max") else "worse"


def _within(interval: Interval | None, margin: float | None) -> bool:
    return margin is not None and interval is not None and -margin < interval[0] and interval[1] < margin


def _correlation(baseline: BySeed, arms: Mapping[str, BySeed]) -> SeedCorrelation | None:
    """Return the correlation over the seeds that the baseline shares with any arm; None where it is not defined."""
    seeds = sorted(seed for seed in baseline if any(seed in arm for arm in arms.values()))
    if len(seeds) < 3:
        return None
    rows = np.array([[arm.get(seed, np.nan) for seed in seeds] for arm in arms.values()])
    found = seed_correlation(np.array([baseline[seed] for seed in seeds]), rows)
    return None if np.isnan(found.mean) else found


def _rounding(groups: Iterable[BySeed]) -> float:
    """Metrics are float32 numbers: values closer than this are equal, or their spread would be rounding noise."""
    return (
        4 * float(np.finfo(np.float32).eps) * max((abs(value) for of in groups for value in of.values()), default=0.0)
    )


def _settled(values: BySeed, noise: float) -> BySeed:
    """Return the values, all equal to the first if they differ by rounding only."""
    return dict(zip(values, _equal_if_within(np.array(list(values.values())), noise).tolist(), strict=True))


def _equal_if_within(values: Floats, noise: float) -> Floats:
    if values.size == 0 or np.ptp(values) > noise:
        return values
    return np.full_like(values, _zero_if_within(float(values[0]), noise))


def _zero_if_within(value: float, noise: float) -> float:
    return 0.0 if abs(value) <= noise else value

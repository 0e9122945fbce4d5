"""Repeat an ablation thousands of times with random numbers: how often verdicts are wrong, and how often differences are seen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitcli.statistics.joint import joint_error, step_down
from vitcli.statistics.looks import Look, look_levels
from vitcli.statistics.pairing import seed_correlation
from vitcli.statistics.significance import ALPHA, Floats
from vitcli.statistics.unequal_spreads import MeanTests, Moments, paired, welch

REPETITIONS_AT_ONCE = 1000
"""The arrays of one batch stay in the processor's cache."""

Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Design:
    """An ablation whose truth is known.

    Args:
        looks: Seeds of the baseline and of every other arm at each look; a single one if there is only a look at the end.
        spreads: Standard deviation over seeds of each arm.
        baseline_spread: That of the baseline.
        correlation: Between any two arms, the baseline included, over results of the same seed.
        effects: True difference of each arm from the baseline; none if empty.
    """

    looks: tuple[Look, ...]
    spreads: tuple[float, ...]
    baseline_spread: float = 1.0
    correlation: float = 0.0
    effects: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rates:
    """Shares of the repetitions.

    Args:
        family_error: At any look, any arm without an effect is called better or worse.
        coverage: The simultaneous intervals hold the true differences of all arms at all looks.
        power: An arm with an effect is called better or worse at any look, in the mean over these arms; NaN if there is none.
        power_any: At least one of these arms is.
        paired: At the last look pairs are compared, because the data show a correlation.
    """

    family_error: float
    coverage: float
    power: float
    power_any: float
    paired: float


def simulate(design: Design, repetitions: int = 20_000, seed: int = 0, level: float = ALPHA) -> Rates:
    """Repeat the comparison of all arms with the baseline on normal random numbers."""
    levels = look_levels([look.arms for look in design.looks], level)
    effects = np.array(design.effects or [0.0] * len(design.spreads))
    counts = np.zeros(5)
    for baseline, arms in samples(design, repetitions, seed):
        found = np.zeros(arms.shape[:-1], dtype=bool)
        covered = np.ones(len(arms), dtype=bool)
        for look, share in zip(design.looks, levels, strict=True):
            tests, pairs = all_tests(baseline[:, : look.baseline], arms[..., : look.arms])
            found |= _found(tests, share)
            covered &= ~_any_found(_moved(tests, -effects), share)
        hits = found[:, effects != 0]
        false = (found & (effects == 0)).any(-1)
        counts += [
            false.sum(),
            covered.sum(),
            hits.mean(-1).sum() if hits.size else np.nan,
            hits.any(-1).sum(),
            pairs.sum(),
        ]
    return Rates(*(counts / repetitions).tolist())


def samples(design: Design, repetitions: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield results of the baseline (r, seeds) and of the arms (r, k, seeds), in batches of repetitions."""
    rng = np.random.default_rng(seed)
    k, last = len(design.spreads), design.looks[-1]
    spreads = np.array([design.baseline_spread, *design.spreads])[:, None]
    means = np.array([0.0, *(design.effects or [0.0] * k)])[:, None]
    for start in range(0, repetitions, REPETITIONS_AT_ONCE):
        r, most = min(REPETITIONS_AT_ONCE, repetitions - start), max(last.baseline, last.arms)
        own, common = rng.standard_normal((r, k + 1, most)), rng.standard_normal((r, 1, most))
        values = np.sqrt(design.correlation) * common + np.sqrt(1 - design.correlation) * own
        values = means + spreads * values
        yield values[:, 0, : last.baseline], values[:, 1:, : last.arms]


def all_tests(baseline: Floats, arms: Floats) -> tuple[MeanTests, Booleans]:
    """Test every arm against the baseline, in each repetition with pairs where the data show a correlation.

    Args:
        baseline: (r, seeds of the baseline).
        arms: (r, k, seeds of each arm), of the same first seeds.

    Returns:
        The tests (r, k), and whether pairs are used (r,).
    """
    n = min(baseline.shape[-1], arms.shape[-1])
    pairs = seed_correlation(baseline[:, :n], arms[..., :n]).helps
    ends = baseline[:, None, :]
    of_means, of_pairs = welch(Moments.of(ends), Moments.of(arms)), paired(arms[..., :n] - ends[..., :n])
    chosen: Sequence[Floats] = [
        np.where(pairs[:, None], getattr(of_pairs, field), getattr(of_means, field))
        for field in ("difference", "standard_error", "degrees", "shared")
    ]
    return MeanTests(*chosen), pairs


def _found(tests: MeanTests, level: float) -> Booleans:
    """Return which comparisons are better or worse by the step-down procedure, (r, k)."""
    found = np.zeros(tests.p_values.shape, dtype=bool)
    # If the smallest p-value is not significant, none is: only the few other repetitions need the slow procedure.
    some = _any_found(tests, level)
    found[some] = step_down(tests.p_values[some], tests.shared[some]) <= level
    return found


def _any_found(tests: MeanTests, level: float) -> Booleans:
    """Return whether any simultaneous interval leaves out 0, (r,)."""
    smallest, k = tests.p_values.min(-1), tests.p_values.shape[-1]
    found = smallest <= level / k
    unsure = ~found & (smallest <= level)
    found[unsure] = joint_error(smallest[unsure], tests.shared[unsure]) <= level
    return found


def _moved(tests: MeanTests, by: Floats) -> MeanTests:
    return MeanTests(tests.difference + by, tests.standard_error, tests.degrees, tests.shared)

"""From several p-values to one error: tests against one baseline have its seeds in common, so they err together."""

import math

import numpy as np

from vitcli.statistics.significance import Floats

NODES: Floats = np.linspace(-5.0, 5.0, 41)
WEIGHTS: Floats = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()
MOST_SHARED = 0.9
"""The estimated share is not trusted beyond this; a smaller one is on the safe side."""
SMALLEST = 1e-14


def joint_error(p_values: Floats, shared: Floats) -> Floats:
    """Chance that the smallest of k p-values is at most the given one if no arm differs from the baseline.

    Given the baseline's mean the arms' tests are independent, so the chance is a single integral over that mean. With nothing
    shared it is Sidak's 1 - (1 - p)^k.

    Args:
        p_values: (...), between 0 and 1.
        shared: (..., k), each comparison's share of variance that comes from the baseline.

    Source: Dunnett, A multiple comparison procedure for comparing several treatments with a control, JASA 1955; with unequal
        spreads as in Hasler and Hothorn, Multiple contrast tests in the presence of heteroscedasticity, Biometrical Journal 2008.
    """
    from scipy import special

    shared = np.minimum(shared, MOST_SHARED)[..., None]
    critical = -special.ndtri(np.maximum(p_values, SMALLEST) / 2)[..., None, None]
    moved, width = np.sqrt(shared) * NODES, np.sqrt(1 - shared)
    missed = special.ndtr((critical + moved) / width) - special.ndtr((moved - critical) / width)
    return 1 - (missed.prod(-2) * WEIGHTS).sum(-1)


def step_down(p_values: Floats, shared: Floats) -> Floats:
    """Adjusted p-values over the last axis: those of at most 5 % contain a false alarm in at most 5 % of experiments.

    As in Holm's procedure the smallest p-value is corrected for all comparisons, the next for all but one, and so on.

    Args:
        p_values: (..., k).
        shared: (..., k), see ``joint_error``.
    """
    order = np.argsort(p_values, axis=-1)
    ordered, shares = (np.take_along_axis(of, order, -1) for of in (p_values, shared))
    steps = [joint_error(ordered[..., i], shares[..., i:]) for i in range(p_values.shape[-1])]
    adjusted = np.maximum.accumulate(np.stack(steps, -1), axis=-1)
    return np.take_along_axis(adjusted, np.argsort(order, axis=-1), -1)


def level_of_each(shared: Floats, level: float) -> float:
    """Level of each of k intervals, so that all of them hold jointly with a chance of 1 - ``level``.

    Args:
        shared: (k,), see ``joint_error``.
        level: Confidence level of the whole family.
    """
    low, high = math.log(level / (2 * shared.size)), math.log(level)
    for _ in range(50):
        middle = (low + high) / 2
        above = float(joint_error(np.array(math.exp(middle)), shared)) > level
        low, high = (low, middle) if above else (middle, high)
    return math.exp(low)

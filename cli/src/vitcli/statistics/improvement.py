"""How likely the arm is to beat the baseline with one more seed: the share of shared seeds in which it did."""

from dataclasses import dataclass

import numpy as np

from vitcli.statistics.significance import LEVEL, Floats


@dataclass(frozen=True)
class Improvement:
    """The probability that an arm beats the baseline with a new seed, estimated by counting.

    Args:
        wins: Number of seeds in which the arm is better.
        ties: Number of seeds in which both are equal.
        n: Number of seeds that both have.
        low, high: Ends of the exact 95 % interval (Clopper and Pearson); a tie counts as lost at the low end and as won at the
            high end.
    """

    wins: int
    ties: int
    n: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The number of seeds won divided by the number of all seeds; a tie counts half."""
        return (self.wins + self.ties / 2) / self.n


def improvement(gains: Floats) -> Improvement:
    """Count the seeds won.

    The count assumes only that seeds are independent. The price is an interval that is wide with few seeds: after five wins
    of five, every probability above 0.48 is still possible.

    Args:
        gains: (n,) with n >= 1; the difference arm - baseline of each seed, with its sign changed if smaller values are better.

    Raises:
        ValueError: There is no seed.

    Source: Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial,
        Biometrika 1934.
    """
    from scipy import special

    n = gains.size
    if n < 1:
        raise ValueError(f"improvement: a share needs 1 seed or more, got {n}.")
    wins, ties = int(np.sum(gains > 0)), int(np.sum(gains == 0))
    tail = (1 - LEVEL) / 2
    at_most = wins + ties
    low = 0.0 if wins == 0 else float(special.betaincinv(wins, n - wins + 1, tail))
    high = 1.0 if at_most == n else float(special.betaincinv(at_most + 1, n - at_most, 1 - tail))
    return Improvement(wins, ties, n, low, high)

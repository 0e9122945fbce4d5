"""The Pareto front: the arms that no other arm beats in both result and cost."""

from collections.abc import Mapping

from vitcli.statistics.comparison import Direction


def front(points: Mapping[str, tuple[float, float]], direction: Direction) -> list[str]:
    """Return the names on the front, cheapest first.

    A point is on the front if no other one is cheaper and at least as good, or equally cheap and better. Of points that are
    equal in both, one is named.

    Args:
        points: Name -> (cost, result).
        direction: Whether a larger (``max``) or a smaller (``min``) result is better.
    """
    sign = 1 if direction == "max" else -1
    found: list[str] = []
    best = float("-inf")
    for name, (_, result) in sorted(points.items(), key=lambda item: (item[1][0], -sign * item[1][1])):
        if sign * result > best:
            found.append(name)
            best = sign * result
    return found

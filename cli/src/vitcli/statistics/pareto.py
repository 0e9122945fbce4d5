"""Which arms no other arm beats in both result and cost."""

from collections.abc import Mapping

from vitcli.records.ablation import Direction


def front(points: Mapping[str, tuple[float, float]], direction: Direction) -> list[str]:
    """The names on the front, cheapest first: none is both dearer and no better than another.

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

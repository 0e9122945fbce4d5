import itertools

import numpy as np

from vitcli.statistics.pareto import front


def test_arms_that_another_beats_in_cost_and_result_are_not_on_the_front():
    points = {"cheap": (1.0, 0.8), "worse": (1.0, 0.7), "dear": (3.0, 0.9), "behind": (2.0, 0.75), "equal": (4.0, 0.9)}
    assert front(points, "max") == ["cheap", "dear"]
    losses = {name: (cost, 1 - result) for name, (cost, result) in points.items()}
    assert front(losses, "min") == ["cheap", "dear"]


def test_the_front_is_the_one_of_the_definition():
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = {str(i): tuple(rng.integers(0, 6, 2).astype(float)) for i in range(8)}
        dominated = {
            one
            for (one, (cost, result)), (_, (c, r)) in itertools.product(points.items(), repeat=2)
            if c <= cost and r >= result and (c, r) != (cost, result)
        }
        found = front(points, "max")
        assert not set(found) & dominated
        assert {points[name] for name in found} == {points[name] for name in points if name not in dominated}

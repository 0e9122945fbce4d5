import math

import pytest
import torch

from vittasks import WarmupCosine


def rates(steps, **arguments):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = WarmupCosine(optimizer, steps, **arguments)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return [*found, optimizer.param_groups[0]["lr"]]


def test_it_rises_linearly_then_falls_along_half_a_cosine():
    found = rates(10, warmup=0.4, start=0.1, end=0.2)
    rise = [2 * (0.1 + 0.9 * k / 4) for k in range(4)]
    fall = [2 * (0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * k / 6))) for k in range(7)]
    assert found == pytest.approx(rise + fall)


def test_without_warmup_it_starts_at_the_peak_and_ends_at_zero():
    found = rates(8)
    assert found[0] == 2.0
    assert found[-1] == pytest.approx(0, abs=1e-12)


def test_it_resumes_where_it_was():
    def make():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        return optimizer, WarmupCosine(optimizer, 20, warmup=0.25)

    optimizer, schedule = make()
    for _ in range(7):
        optimizer.step()
        schedule.step()
    other_optimizer, other = make()
    other_optimizer.load_state_dict(optimizer.state_dict())
    other.load_state_dict(schedule.state_dict())
    for _ in range(5):
        for each in (optimizer, schedule, other_optimizer, other):
            each.step()
    assert other_optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("warmup", [-0.1, 1.0, 5])
def test_a_warmup_that_is_no_fraction_is_refused(warmup):
    with pytest.raises(ValueError, match=rf"fraction of the steps in \[0, 1\), got warmup={warmup}"):
        rates(10, warmup=warmup)

import math
from functools import partial

import pytest
import torch
from timm.scheduler import CosineLRScheduler

from vittasks import WarmupCosine, WarmupMultiStep, WarmupPolynomial


def rates(steps, kind=WarmupCosine, **arguments):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = kind(optimizer, steps, **arguments)
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
def test_a_warmup_that_is_not_a_fraction_is_refused(warmup):
    with pytest.raises(ValueError, match=rf"fraction of the steps in \[0, 1\), got warmup={warmup}"):
        rates(10, warmup=warmup)


def test_a_warmup_may_be_a_number_of_steps():
    assert rates(10, warmup_steps=4, start=0.1) == rates(10, warmup=0.4, start=0.1)


def test_the_last_steps_of_a_cool_down_are_at_the_minimum():
    found = rates(10, warmup=0.2, cooldown=0.3, end=0.1)
    assert found[7:] == pytest.approx([0.2] * 4)
    assert found[6] > 0.21
    assert found[:8] == pytest.approx(rates(7, warmup=2 / 7, end=0.1))


def test_a_fall_from_the_start_is_that_of_timms_scheduler():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    theirs = CosineLRScheduler(optimizer, 20, lr_min=0.1, warmup_t=4, warmup_lr_init=0.02, t_in_epochs=False)
    expected = [theirs._get_lr(step)[0] for step in range(20)]
    assert rates(20, warmup=0.2, start=0.01, end=0.05, fall_from="start")[:20] == pytest.approx(expected)


@pytest.mark.parametrize("cooldown", [-0.1, 0.6])
def test_a_cool_down_that_leaves_no_fall_is_refused(cooldown):
    with pytest.raises(ValueError, match="leaves some to the fall"):
        rates(10, warmup=0.5, cooldown=cooldown)


@pytest.mark.parametrize("kind", [WarmupCosine, WarmupPolynomial, partial(WarmupMultiStep, drops=[0.5])])
def test_two_lengths_of_a_warmup_are_refused_in_every_schedule(kind):
    with pytest.raises(ValueError, match=r"stands in place of warmup, got warmup=0\.1, warmup_steps=3"):
        rates(10, kind, warmup=0.1, warmup_steps=3)


def test_a_polynomial_of_power_1_is_a_straight_line_under_the_warmup():
    found = rates(10, WarmupPolynomial, warmup_steps=2, start=0.5)
    assert found == pytest.approx([1.0, 0.75 * 1.8, *(2 * (1 - step / 10) for step in range(2, 11))])


def test_a_polynomial_falls_to_its_end():
    found = rates(10, WarmupPolynomial, power=0.9, end=0.1)
    assert found[5] == pytest.approx(2 * (0.1 + 0.9 * 0.5**0.9))
    assert found[-1] == pytest.approx(0.2)


def test_a_multi_step_schedule_drops_where_it_says_after_its_warmup():
    found = rates(12, WarmupMultiStep, drops=[8 / 12, 11 / 12], warmup_steps=2, start=0.5)
    assert found == pytest.approx([1.0, 1.5, *[2.0] * 6, *[0.2] * 3, 0.02, 0.02])


@pytest.mark.parametrize("drops", [[0.9, 0.5], [0.5, 1.0], [8, 11]])
def test_drops_that_are_not_increasing_fractions_are_refused(drops):
    with pytest.raises(ValueError, match=r"drops are rising fractions in \(0, 1\)"):
        rates(10, WarmupMultiStep, drops=drops)

"""Learning-rate schedules, stepped once an optimizer step.

All rise linearly to the optimizer's learning rate first. The length of the rise is ``warmup``, a fraction of the steps, or
``warmup_steps``, a number of them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

ScheduleFactory: TypeAlias = Callable[[Optimizer, int], LRScheduler]
"""Makes a schedule for an optimizer and the number of steps of the whole training."""


class WarmupCosine(LambdaLR):
    """Rise linearly to the optimizer's learning rate, then fall along half a cosine.

    Args:
        optimizer: Its learning rate is the peak.
        steps: Optimizer steps of the whole training.
        warmup: Fraction of the steps that the rise takes, in [0, 1).
        start: First learning rate as a fraction of the peak.
        end: Last learning rate as a fraction of the peak.
        warmup_steps: Steps that the rise takes; given in place of ``warmup``.
        cooldown: Fraction of the steps at the end that are taken at the last learning rate, in [0, 1).
        fall_from: Where the half cosine begins. ``peak``: when the rise is over. ``start``: with the first step, so that the rise
            hides its beginning and the rate drops by a percent or less when the rise is over, as in timm's scheduler.

    Raises:
        ValueError: ``warmup`` or ``cooldown`` lies outside [0, 1), rise and cool-down leave no step between them, or both
            ``warmup`` and ``warmup_steps`` are given.

    Source: Loshchilov & Hutter, SGDR, ICLR 2017, Eq. 5, without restarts; the warm-up as in Goyal et al., 2017.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        warmup: float = 0.0,
        start: float = 0.0,
        end: float = 0.0,
        warmup_steps: int = 0,
        cooldown: float = 0.0,
        fall_from: Literal["peak", "start"] = "peak",
    ) -> None:
        rise = _rise("WarmupCosine", steps, warmup, warmup_steps)
        if not 0 <= cooldown < 1 - warmup:
            raise ValueError(
                "WarmupCosine: cooldown is a fraction of the steps in [0, 1) and leaves some to the fall, "
                f"got warmup={warmup}, cooldown={cooldown}."
            )
        first = rise if fall_from == "peak" else 0.0
        fall = steps - cooldown * steps - first

        def factor(step: int) -> float:
            if step < rise:
                return start + (1 - start) * step / rise
            progress = min(1.0, (step - first) / max(1e-9, fall))
            return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))

        super().__init__(optimizer, factor)


class WarmupPolynomial(LambdaLR):
    """Fall with a power of the share of the steps that are left, multiplied by a linear rise over the first steps.

    Args:
        optimizer: Its learning rate is the peak.
        steps: Optimizer steps of the whole training.
        power: Exponent of the fall: 1 is a straight line.
        warmup: Fraction of the steps that the rise takes, in [0, 1).
        start: First learning rate as a fraction of the peak.
        end: Last learning rate as a fraction of the peak.
        warmup_steps: Steps that the rise takes; given in place of ``warmup``.

    Raises:
        ValueError: ``warmup`` lies outside [0, 1), or both ``warmup`` and ``warmup_steps`` are given.

    Source: the schedule "poly" of Chen et al., DeepLab, PAMI 2018; rise and fall are multiplied, as in the segmentation recipes
    of Swin and PVT.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        power: float = 1.0,
        warmup: float = 0.0,
        start: float = 0.0,
        end: float = 0.0,
        warmup_steps: int = 0,
    ) -> None:
        rise = _rise("WarmupPolynomial", steps, warmup, warmup_steps)

        def factor(step: int) -> float:
            left = max(0.0, 1 - step / max(1, steps))
            return _rising(step, rise, start) * (end + (1 - end) * left**power)

        super().__init__(optimizer, factor)


class WarmupMultiStep(LambdaLR):
    """Keep the learning rate, and multiply it by a factor at each of several steps.

    Args:
        optimizer: Its learning rate is the first one after the rise.
        steps: Optimizer steps of the whole training.
        drops: When it drops, as increasing fractions of the steps in (0, 1): [8/12, 11/12] for drops after 8 and 11 of 12 epochs.
        factor: What a drop multiplies the learning rate by.
        warmup: Fraction of the steps that the rise takes, in [0, 1).
        start: First learning rate as a fraction of the peak.
        warmup_steps: Steps that the rise takes; given in place of ``warmup``.

    Raises:
        ValueError: ``warmup`` lies outside [0, 1), both ``warmup`` and ``warmup_steps`` are given, or the drops do not rise
            within (0, 1).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        drops: Sequence[float],
        factor: float = 0.1,
        warmup: float = 0.0,
        start: float = 0.0,
        warmup_steps: int = 0,
    ) -> None:
        rise = _rise("WarmupMultiStep", steps, warmup, warmup_steps)
        if list(drops) != sorted(set(drops)) or not all(0 < drop < 1 for drop in drops):
            raise ValueError(f"WarmupMultiStep: drops are rising fractions in (0, 1), got drops={list(drops)}.")

        def scale(step: int) -> float:
            # 8/12 of the steps should be a whole number, which rounding may miss.
            passed = sum(step >= drop * steps - 1e-6 * steps for drop in drops)
            return _rising(step, rise, start) * factor**passed

        super().__init__(optimizer, scale)


def _rise(name: str, steps: int, warmup: float, warmup_steps: int) -> float:
    """Return the number of steps of the rise."""
    if not 0 <= warmup < 1:
        raise ValueError(
            f"{name}: warmup is a fraction of the steps in [0, 1), got warmup={warmup}; a number of steps is warmup_steps."
        )
    if warmup_steps < 0 or (warmup and warmup_steps):
        raise ValueError(
            f"{name}: warmup_steps is at least 0 and stands in place of warmup, "
            f"got warmup={warmup}, warmup_steps={warmup_steps}."
        )
    return warmup_steps or warmup * steps


def _rising(step: int, rise: float, start: float) -> float:
    return start + (1 - start) * step / rise if step < rise else 1.0

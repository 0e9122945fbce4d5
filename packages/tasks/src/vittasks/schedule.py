"""Learning-rate schedules, stepped once an optimizer step."""

import math
from collections.abc import Callable
from typing import TypeAlias

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

    Raises:
        ValueError: ``warmup`` lies outside [0, 1).

    Source: Loshchilov & Hutter, SGDR, ICLR 2017, Eq. 5, without restarts; the warm-up as in Goyal et al., 2017.
    """

    def __init__(
        self, optimizer: Optimizer, steps: int, warmup: float = 0.0, start: float = 0.0, end: float = 0.0
    ) -> None:
        if not 0 <= warmup < 1:
            raise ValueError(f"WarmupCosine: warmup is a fraction of the steps in [0, 1), got warmup={warmup}.")
        rise = warmup * steps

        def factor(step: int) -> float:
            if step < rise:
                return start + (1 - start) * step / rise
            progress = min(1.0, (step - rise) / max(1e-9, steps - rise))
            return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))

        super().__init__(optimizer, factor)

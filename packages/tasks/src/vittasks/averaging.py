"""An exponential moving average of the weights whose decay rises at the beginning of a training."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WarmupEMA(WeightAveraging):
    """An exponential moving average that soon forgets the first steps, so that short trainings can use it too.

    At optimizer step n, counted from 1, the decay is min(decay, 1 - n ** -power). With a power of 2/3 that is 0.9 at step 32,
    0.99 at step 1,000 and 0.9999 at step 1,000,000. Validation, test and checkpoints use the averages, buffers included.

    Args:
        decay: Weight of the old average once the decay has risen, in [0, 1).
        power: How fast it rises, positive; with 1 the average is the plain mean of all steps until ``decay`` is reached.
        device: Where the averages are kept; None for the device of the weights.

    Raises:
        ValueError: ``decay`` or ``power`` is out of range.

    Source: the warm-up of timm's ModelEmaV3.
    """

    def __init__(self, decay: float = 0.9999, power: float = 2 / 3, device: str | None = None) -> None:
        if not 0 <= decay < 1 or power <= 0:
            raise ValueError(
                f"WarmupEMA: decay lies in [0, 1) and power is positive, got decay={decay}, power={power}."
            )
        super().__init__(device=device, multi_avg_fn=self._average)
        self.decay, self.power, self.steps = decay, power, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the averages if the batch ended an optimizer step."""
        self.steps = trainer.global_step
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def _average(self, averages: list[Tensor], weights: list[Tensor], _: Any) -> None:
        # The trainer's number of steps: torch's own counter lies on the device, and reading it would wait for the device.
        decay = min(self.decay, 1 - self.steps**-self.power)
        get_ema_multi_avg_fn(decay)(averages, weights, None)

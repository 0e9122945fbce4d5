"""Running sums behind the means that an epoch logs, so that a training can continue within an epoch."""

from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor

Sums = dict[str, list[Tensor]]


def sums_so_far(trainer: Trainer) -> Sums:
    """Return key -> [sum, number of samples] of every value that is logged at the end of the epoch; an extreme has no number.

    All processes of a run must call it, since the sums are taken over all of them.
    """
    return {
        key: [
            trainer.strategy.reduce(part.detach().clone(), reduce_op=_over_processes(metric)).cpu()
            for part in _parts(metric)
        ]
        for key, metric in _logged(trainer).items()
        if metric.is_tensor and metric.meta.on_epoch and not metric.has_reset
    }


def add_sums(trainer: Trainer, before: Sums) -> None:
    """Add sums of earlier batches of the same epoch to those of the batches since, and remove from ``before`` what was added.

    The sums are divided among the processes, however many there were before. A value that no batch has logged since stays in
    ``before``.
    """
    logged = _logged(trainer)
    for key in [key for key in before if key in logged]:
        metric = logged[key]
        share = trainer.world_size if _over_processes(metric) == "sum" else 1
        parts = [part.to(metric.value.device) / share for part in before.pop(key)]
        if len(parts) > 1 or metric.meta.is_sum_reduction:
            metric.value = parts[0] + metric.value
        else:
            metric.value = metric.meta.reduce_fx(parts[0], metric.value)
        if len(parts) > 1:
            metric.cumulated_batch_size = parts[1].to(metric.cumulated_batch_size) + metric.cumulated_batch_size


def _logged(trainer: Trainer) -> dict[str, Any]:
    """Return what Lightning has collected in the running epoch of training."""
    return trainer.fit_loop.epoch_loop._results


def _over_processes(metric: Any) -> str:
    if metric.meta.is_mean_reduction or metric.meta.is_sum_reduction:
        return "sum"
    return "max" if metric.meta.is_max_reduction else "min"


def _parts(metric: Any) -> list[Tensor]:
    return [metric.value, metric.cumulated_batch_size.double()] if metric.meta.is_mean_reduction else [metric.value]

"""Weight-decay groups: what is decayed and what is not."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from torch import nn
from torch.optim import Optimizer

OptimizerFactory: TypeAlias = Callable[[Iterable[Any]], Optimizer]
"""Makes an optimizer for parameter groups: a class of torch.optim with its other arguments."""


def weight_decay_groups(model: nn.Module, undecayed: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Split the trainable parameters into those with the optimizer's weight decay and those with none.

    Matrices and convolution kernels are decayed. Vectors and scalars (biases, the gains of norms) are not, nor what the
    model lists (position tables, class tokens).

    Args:
        model: The network.
        undecayed: Names that take no weight decay whatever their shape, as of timm's ``model.no_weight_decay()``.

    Returns:
        Two parameter groups for an optimizer; an empty one is left out.
    """
    undecayed = set(undecayed)
    decay: list[nn.Parameter] = []
    no_decay: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (no_decay if parameter.ndim <= 1 or name in undecayed else decay).append(parameter)
    groups: list[dict[str, Any]] = [{"params": decay}, {"params": no_decay, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]

"""Gradient checkpointing: a block's activations are computed again in the backward pass instead of being kept."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recompute(block: nn.Module, grid: Tensor, prefix: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Apply ``block`` without keeping its activations; running statistics are updated once, as without recomputation."""
    if torch.compiler.is_compiling():  # a compiled graph updates the statistics once, however often it recomputes
        return checkpoint(block, grid, prefix, use_reentrant=False)
    contexts = (contextlib.nullcontext(), frozen_statistics(block))
    return checkpoint(block, grid, prefix, use_reentrant=False, context_fn=lambda: contexts)


@contextlib.contextmanager
def frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Leave the running statistics of the block's BatchNorms unchanged, so that recomputation does not count a batch twice."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count

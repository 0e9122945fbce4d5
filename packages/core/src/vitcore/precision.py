"""Full precision: a context that keeps autocast away from products that half precision would spoil."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager:
    """Return a context without autocast on the device of ``like``.

    Where autocast is off already the context does nothing, so that exported graphs contain no autocast region.
    """
    device = like.device.type
    on = not like.is_meta and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if on else nullcontext()

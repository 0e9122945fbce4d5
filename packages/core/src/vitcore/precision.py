"""Keeping autocast out of products that half precision would spoil."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager:
    """Return a context without autocast on the device of ``like``.

    Without autocast there is nothing to switch off, and an exported graph stays free of regions.
    """
    device = like.device.type
    on = not like.is_meta and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if on else nullcontext()

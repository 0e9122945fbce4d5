"""Errors for memory that ran out: which batch did not fit, and what makes it smaller."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningDataModule

TEXTS = ("can't allocate memory", "out of memory", "ALLOC_FAILED", "Cannot allocate memory")
"""Texts in out-of-memory errors of torch, CUDA's libraries and the system that have no exception class of their own."""
SHARED = ("shared memory", "shm")
KILLED = "is killed by signal: Killed"
"""Of a process that loads data: the kernel kills the largest process when the memory of the machine runs out."""


class OutOfMemoryError(MemoryError):
    """The memory of a device or of the machine ran out. The text is one sentence that says what to try."""


@contextlib.contextmanager
def explain_out_of_memory(config: dict[str, Any], data: LightningDataModule | None, device: str) -> Iterator[None]:
    """Say which batch did not fit, on which device, and what to try.

    Args:
        config: The complete configuration of the run.
        data: Its data module; facts that it does not state are left out of the message.
        device: Where the network is, for the message.

    Raises:
        OutOfMemoryError: The body ran out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if isinstance(error, OutOfMemoryError) or not _is_about_memory(error):
            raise
        text = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise OutOfMemoryError(f"{_what(error, data, device)} ({text}); try {_advice(error, config, data)}") from error


def _is_about_memory(error: Exception) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(text in str(error) for text in (*TEXTS, *SHARED, KILLED))


def _is_shared(error: Exception) -> bool:
    return any(text in str(error) for text in SHARED)


def _what(error: Exception, data: LightningDataModule | None, device: str) -> str:
    size, shape = getattr(data, "batch_size", None), getattr(data, "image_shape", None)
    batch = f" with a batch of {size}" + (f" images of {' x '.join(map(str, shape))}" if shape else "") if size else ""
    if KILLED in str(error):
        return f"a process that loads data was killed, most likely because the memory of this machine ran out{batch}"
    place = "the memory that the data loader's processes share" if _is_shared(error) else f"the memory of {device}"
    return f"{place} ran out{batch}"


def _advice(error: Exception, config: dict[str, Any], data: LightningDataModule | None) -> str:
    """Return the keys that need less memory, without those that are set already."""
    if KILLED in str(error):
        return "fewer data.workers, or a machine or job with more memory"
    if _is_shared(error):
        return "fewer data.workers, or more shared memory (docker run --shm-size 8g)"
    trainer, model, size = (
        config["trainer"],
        config["model"].get("init_args", {}),
        getattr(data, "batch_size", None) or 0,
    )
    found = []
    if size > 1:
        steps = f"with trainer.accumulate_grad_batches {2 * trainer['accumulate_grad_batches']}"
        kept = "(model.global_batch keeps the images of a step)" if model.get("global_batch") else steps
        found.append(f"data.batch_size {size // 2} {kept}")
    if model.get("activations") == "keep":
        found.append("model.activations recompute")
    if str(trainer["precision"]) in ("None", "32", "32-true"):
        found.append("trainer.precision bf16-mixed")
    return ", ".join(found[:-1]) + f" or {found[-1]}" if len(found) > 1 else found[0]

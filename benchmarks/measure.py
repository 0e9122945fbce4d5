"""Seconds and bytes of a function: interleaved rounds in one process, and the peak of what PyTorch's allocators hold."""

import functools
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

os.environ.setdefault(
    "KINETO_LOG_LEVEL", "9"
)  # torch reads this when it is imported: it silences the profiler's messages.

import torch
from torch import Tensor

Function = Callable[..., Tensor | tuple[Tensor, ...]]

SAMPLE = 0.02
"""Seconds that one sample lasts at least, by repeating the call: a clock's noise is far below."""


def clock() -> float:
    """With one thread its own CPU time, which a busy machine disturbs little; with several the time on the wall."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.get_num_threads() == 1:
        return time.thread_time()
    return time.perf_counter()


def run(function: Function, inputs: Sequence[Tensor], backward: bool) -> None:
    """One forward pass without gradients, or one forward and backward pass that makes all gradients anew."""
    if not backward:
        with torch.no_grad():
            function(*inputs)
        return
    outputs = function(*inputs)
    outputs = [y for y in (outputs if isinstance(outputs, tuple) else (outputs,)) if y.requires_grad]
    torch.autograd.backward(outputs, [cotangent(tuple(y.shape), y.dtype, y.device) for y in outputs])


@functools.lru_cache(maxsize=2)
def cotangent(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A dense gradient of the output, made once: that of a sum would be expanded from a single number."""
    return torch.randn(shape, device=device).to(dtype)


def forget_gradients(leaves: Sequence[Tensor]) -> None:
    for leaf in leaves:
        leaf.grad = None


@dataclass(frozen=True)
class Timing:
    """Seconds of each function in each round."""

    rounds: dict[str, list[float]]

    def seconds(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def ratio(self, above: str, below: str) -> float:
        """The median of the rounds' ratios: what slows a round slows both."""
        return statistics.median(a / b for a, b in zip(self.rounds[above], self.rounds[below], strict=True))


def interleave(
    functions: dict[str, Function], inputs: Sequence[Tensor], leaves: Sequence[Tensor], backward: bool, rounds: int
) -> Timing:
    """Time the functions in turns; the one that begins changes from round to round."""
    calls = {}
    for name, function in functions.items():
        run(function, inputs, backward)
        start = clock()
        run(function, inputs, backward)
        calls[name] = max(1, math.ceil(SAMPLE / max(clock() - start, 1e-6)))
        forget_gradients(leaves)
    names, times = list(functions), {name: [] for name in functions}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = clock()
            for _ in range(calls[name]):
                run(functions[name], inputs, backward)
                forget_gradients(leaves)
            times[name].append((clock() - start) / calls[name])
    return Timing(times)


def peak_bytes(function: Function, inputs: Sequence[Tensor], leaves: Sequence[Tensor], backward: bool) -> int:
    """The most bytes that are held at once on top of inputs and parameters, new gradients included.

    On a CPU every allocation that the profiler sees is summed up; a library's scratch memory of its own is not among them.
    """
    run(function, inputs, backward)
    forget_gradients(leaves)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(function, inputs, backward)
        peak = torch.cuda.max_memory_allocated() - before
    else:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            run(function, inputs, backward)
        events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
        held = peak = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            held += event.nbytes()
            peak = max(peak, held)
    forget_gradients(leaves)
    return peak

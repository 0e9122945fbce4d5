"""Slide attention against its textbook forms, projections included.

    OMP_NUM_THREADS=1 python benchmarks/slide.py

Two convolutions: keys and values go through the fixed and the learned depth-wise convolution. Merged: through their sum.
Ours: ``vitcore.SlideAttention``, the same function. Im2col: local attention without the learned shift, the function of ours
(fixed). The projections, which are the same in all forms, are timed too.
Times are medians of interleaved rounds in one process, so that a busy machine slows every line equally; a ratio is the median of
the rounds' ratios. Maps of Slide-Swin-T's first two stages at 224 pixels, batch 8.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from vitcore import SlideAttention, local_attention_im2col
from vitcore.attention.neighborhood.deformed_shift import one_hot_shifts

STAGES = {"stage 1": (56, 56, 96), "stage 2": (28, 28, 192)}
HEAD_DIM, KERNEL_SIZE = 32, 3


def textbook(op: SlideAttention, grid: Tensor, filters: list[tuple[Tensor, Tensor]]) -> Tensor:
    """One map for each place, the sum of its convolutions; elementwise products and sums with them."""
    b, h, w, width = grid.shape
    places, n = KERNEL_SIZE**2, width // HEAD_DIM
    qkv = op.qkv(grid).permute(0, 3, 1, 2).reshape(b, 3, n, HEAD_DIM, h, w)
    q = qkv[:, 0].unsqueeze(3) * HEAD_DIM**-0.5

    def shifted(maps: Tensor) -> Tensor:
        maps = maps.reshape(b * n, HEAD_DIM, h, w)
        parts = [conv2d(maps, weight, bias, padding=KERNEL_SIZE // 2, groups=HEAD_DIM) for weight, bias in filters]
        return sum(parts).view(b, n, HEAD_DIM, places, h, w)

    keys = shifted(qkv[:, 1]) + op.position_bias.view(1, n, 1, places, 1, 1)
    weights = (q * keys).sum(2, keepdim=True).softmax(3)
    mixed = (weights * shifted(qkv[:, 2])).sum(3)
    return op.projection(mixed.view(b, width, h, w).permute(0, 2, 3, 1))


def im2col(op: SlideAttention, grid: Tensor) -> Tensor:
    """The patches copied out."""
    q, k, v = op.qkv(grid).unflatten(3, (3, -1, HEAD_DIM)).unbind(3)
    return op.projection(local_attention_im2col(q, k, v, KERNEL_SIZE).flatten(3))


def forms(width: int) -> dict[str, tuple[SlideAttention, Callable[[Tensor], Tensor]]]:
    """Name -> the op that owns the parameters, and the function to time."""
    op, fixed = SlideAttention(width, HEAD_DIM, KERNEL_SIZE), SlideAttention(width, HEAD_DIM, KERNEL_SIZE, "fixed")
    one_hot = one_hot_shifts(HEAD_DIM, KERNEL_SIZE)
    shift = op.shift
    return {
        "two convolutions": (
            op,
            lambda grid: textbook(op, grid, [(one_hot, shift.fixed_bias), (shift.weight, shift.bias)]),
        ),
        "merged": (op, lambda grid: textbook(op, grid, [shift()])),
        "im2col": (fixed, lambda grid: im2col(fixed, grid)),
        "ours": (op, op),
        "ours (fixed)": (fixed, fixed),
    }


def seconds(function: Callable[[Tensor], Tensor], grid: Tensor, backward: bool) -> float:
    start = time.perf_counter()
    with torch.set_grad_enabled(backward):
        result = function(grid)
        if backward:
            result.square().mean().backward()
    return time.perf_counter() - start


def table(height: int, width_: int, channels: int, batch: int, rounds: int, backward: bool) -> list[str]:
    grid = torch.randn(batch, height, width_, channels, requires_grad=backward)
    functions = {name: function for name, (_, function) in forms(channels).items()}
    for function in functions.values():
        seconds(function, grid, backward)
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds(function, grid, backward))

    def ratio(name: str, to: str) -> str:
        return f"{statistics.median(a / b for a, b in zip(times[name], times[to], strict=True)):.2f}"

    return [
        f"| {name} | {1e3 * statistics.median(times[name]):.0f} | {ratio(name, 'ours')} | {ratio(name, 'ours (fixed)')} |"
        for name in functions
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {platform.machine()}, {arguments.threads} threads, float32")
    for stage, shape in STAGES.items():
        for backward in (False, True):
            print(
                f"\n{stage}, {shape[0]} x {shape[1]} x {shape[2]}, {'forward + backward' if backward else 'forward'}\n"
            )
            print("| form | ms | time / ours | time / ours (fixed) |\n| --- | --- | --- | --- |")
            print("\n".join(table(*shape, arguments.batch, arguments.rounds, backward)), flush=True)


if __name__ == "__main__":
    main()

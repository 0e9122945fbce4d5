"""Every op against its textbook form and against timm's: time and memory, forward and forward + backward.

    python benchmarks/ops.py                                   all of them, two threads, 40 minutes
    python benchmarks/ops.py --only Window --threads 1         those whose name contains a word
    python benchmarks/ops.py --quick                           one round on small batches: does everything run and agree?
    python benchmarks/ops.py --out benchmarks/results/2026-01-31-laptop.md

The maps are those of the papers' first three stages at 224 pixels; batch 8 in float32 on a CPU, batch 64 in bfloat16 on CUDA.
Textbook forms (``textbook_attention.py``, ``textbook_maps.py``) are vectorised PyTorch as it is commonly published, with ours'
parameters; timm's ops get ours' weights. All forms of an op must agree before they are timed, by 1e-3 of the largest entry.
Forms are timed in turns in one process; a ratio is the median of the rounds' ratios, above 1 where ours is faster or smaller.
Memory is the peak of what is allocated on top of inputs and parameters.
"""

import argparse
import math
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import measure
import torch
from contests import Contest, all_contests
from library_ops import version
from targets import clustering_ratio, slide_ratios

EVEN = 0.97
"""A ratio from here on counts as equal: half of the spread between runs of one form against itself."""


@dataclass(frozen=True)
class Row:
    """Ratios of another form to ours, at one size; by (form, passes)."""

    contest: Contest
    milliseconds: dict[str, float]
    time: dict[tuple[str, str], float]
    memory: dict[tuple[str, str], float]

    @property
    def size(self) -> str:
        return " + ".join("x".join(map(str, shape)) for shape in self.contest.shapes)

    def line(self) -> str:
        cells = [self.contest.op, self.contest.of, self.size]
        cells += [f"{self.milliseconds[passes]:.1f}" for passes in PASSES]
        for ratios, form in ((self.time, "textbook"), (self.time, "timm"), (self.memory, "textbook")):
            cells += [f"{ratios[form, passes]:.2f}" if (form, passes) in ratios else "" for passes in PASSES]
        return f"| {' | '.join(cells)} |"


PASSES = ("forward", "both")
HEADER = """| op | maps of | size | ours, ms | with backward | textbook / ours | with backward | timm / ours | with backward \
| memory, textbook / ours | with backward |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def inputs_of(contest: Contest, batch: int, dtype: torch.dtype, backward: bool) -> list[torch.Tensor]:
    generator = torch.Generator(torch.get_default_device()).manual_seed(0)
    shapes = [(batch, *shape) for shape in contest.shapes]
    return [torch.randn(s, generator=generator).to(dtype).requires_grad_(backward) for s in shapes]


def require_agreement(contest: Contest, batch: int) -> None:
    """Compare in float32, evaluation mode: the same function, or no contest."""
    inputs = inputs_of(contest, batch, torch.float32, backward=False)
    with torch.no_grad():
        results = {name: form(*inputs) for name, form in contest.forms().items()}
    ours = results["ours"] if isinstance(results["ours"], tuple) else (results["ours"],)
    for name, result in results.items():
        for a, b in zip(result if isinstance(result, tuple) else (result,), ours, strict=True):
            # The order of near-ties is rounding's in a clustering: the share of tokens that differ counts there.
            differing = ((a - b).abs() > 1e-3 * b.abs().max()).double().mean().item()
            allowed = 0.02 if "Cluster" in contest.op or "KMeans" in contest.op else 0.0
            if differing > allowed:
                sys.exit(f"{contest.op} {contest.shapes}: {name} differs from ours in {100 * differing:.2f} % of entries.")


def compare(contest: Contest, batch: int, dtype: torch.dtype, rounds: int) -> Row:
    for module in contest.modules():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.data.add_(0.1 * torch.rand_like(tensor))
        module.eval()
    raise NotImplementedError


def main() -> None:
    pass


if __name__ == "__main__":
    main()

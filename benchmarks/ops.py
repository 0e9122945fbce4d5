"""Every op against its textbook form and against timm's: time and memory, forward and forward + backward.

    python benchmarks/ops.py                                   all of them, two threads, 40 minutes python benchmarks/ops.py
    --only Window --threads 1         those whose name contains a word python benchmarks/ops.py --quick
    one round on small batches, to check that everything runs and agrees python benchmarks/ops.py --out
    benchmarks/results/2026-01-31-laptop.md

The maps are those of the papers' first three stages at 224 pixels; batch 8 in float32 on a CPU, batch 64 in bfloat16 on CUDA.
Textbook forms (``textbook_attention.py``, ``textbook_maps.py``) are vectorised PyTorch as it is commonly published, with our
parameters; timm's ops get our weights. All forms of an op must agree before they are timed, by 1e-3 of the largest entry.
Forms are timed in turns in one process; a ratio is the median of the rounds' ratios, above 1 where ours is faster or smaller.
Memory is the peak of what is allocated on top of inputs and parameters.

A second table counts what no form of an op can leave out: its matrix products and convolutions, and reading its inputs and
parameters and writing its outputs once (with a backward pass three times the products and twice the bytes). At the rates of a
product of matrices of 1024 x 1024 numbers and of a copy of 64 MiB, timed in the same process, that is the least time; the
textbook's time divided by it is the ratio that our op would reach if it did nothing else.
"""

import argparse
import itertools
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import measure  # Imported first: it silences the profiler, which reads its settings when torch is imported.
import timm
import torch
from cases import Case, all_cases
from torch.utils.flop_counter import FlopCounterMode

from vitcore import ClusterAttention, attend_clusters, balanced_clusters
from vitcore.attention.heads import split_qkv

EVEN = 0.97
"""A ratio from here on counts as equal: half of the spread between runs of one form against itself."""


SIDE, COPIED = 1024, 2**26
"""Side of the matrices and bytes of the copy that rates are taken from."""

PASSES = ("forward", "both")
HEADER = (
    "| op | maps of | size | ours, ms | with backward | textbook / ours | with backward | timm / ours | with backward "
    "| memory, textbook / ours | with backward | memory, timm / ours | with backward |"
)


@dataclass(frozen=True)
class Counted:
    """What a forward pass of any form of an op does at least: multiply-adds, and bytes of inputs, parameters and outputs."""

    macs: int
    bytes: int

    def least(self, product: float, copy: float, passes: str) -> float:
        """Milliseconds at the seconds of the two yardsticks, whichever of the two counts takes longer."""
        products, moves = (3, 2) if passes == "both" else (1, 1)
        return 1e3 * max(products * self.macs * product / SIDE**3, moves * self.bytes * copy / (2 * COPIED))


@torch.no_grad()
def counted(case: Case, inputs: Sequence[torch.Tensor]) -> Counted:
    with FlopCounterMode(display=False) as counter:
        outputs = as_tuple(case.forms()["ours"](*inputs))
    tensors = {id(tensor): tensor.nbytes for tensor in (*inputs, *outputs, *case.ours.parameters())}
    return Counted(counter.get_total_flops() // 2, sum(tensors.values()))


def yardsticks(rounds: int) -> tuple[float, float]:
    """Seconds of a product of square matrices and of a copy."""
    factor, large = torch.randn(SIDE, SIDE), torch.randn(COPIED // 4)
    timing = measure.interleave({"product": lambda: factor @ factor, "copy": large.clone}, (), (), False, rounds)
    return timing.seconds("product"), timing.seconds("copy")


@dataclass(frozen=True)
class Row:
    """One op at one size: ours' milliseconds by passes, and the ratios of other forms to ours by (form, passes)."""

    op: str
    of: str
    size: str
    milliseconds: dict[str, float]
    time: dict[tuple[str, str], float]
    memory: dict[tuple[str, str], float]
    counted: "Counted"
    least: dict[str, float]

    def at_best(self, passes: str) -> float:
        """The textbook's time / the least time, or / ours where that is less: a map in the caches moves faster than a copy."""
        least = min(self.least[passes], self.milliseconds[passes])
        return self.milliseconds[passes] * self.time["textbook", passes] / least

    def count_line(self) -> str:
        ours = [f"{100 * self.least[passes] / self.milliseconds[passes]:.0f}" for passes in PASSES]
        best = [f"{self.at_best(passes):.2f}" for passes in PASSES]
        counts = [f"{self.counted.macs / 1e9:.3f}", f"{self.counted.bytes / 1e6:.1f}"]
        return f"| {' | '.join([self.op, self.size, *counts, *ours, *best])} |"

    def line(self) -> str:
        cells = [self.op, self.of, self.size, *(f"{self.milliseconds[passes]:.1f}" for passes in PASSES)]
        for ratios in (self.time, self.memory):
            for form in ("textbook", "timm"):
                cells += [f"{ratios[form, passes]:.2f}" if (form, passes) in ratios else "" for passes in PASSES]
        return f"| {' | '.join(cells)} |"


def inputs_of(case: Case, batch: int, dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.randn(batch, *shape).to(dtype) for shape in case.shapes]


def as_tuple(result: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


@torch.no_grad()
def require_agreement(case: Case, batch: int) -> None:
    """Stop unless all forms compute the same, in float32 and evaluation mode, with no bias or norm left at 0 or 1."""
    for parameter in case.ours.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
    if case.timm is not None:
        case.timm.take_weights()
    for module in case.modules():
        module.eval()
    inputs = inputs_of(case, batch, torch.float32)
    results = {name: as_tuple(form(*inputs)) for name, form in case.forms().items()}
    # Rounding decides between tokens that lie equally near two clusters: a few may differ there.
    allowed = 0.02 if case.op in ("ClusterAttention", "KMeansAttention") else 0.0
    for name, result in results.items():
        for a, b in zip(result, results["ours"], strict=True):
            differing = ((a - b).abs() > 1e-3 * b.abs().max()).double().mean().item()
            if a.shape != b.shape or differing > allowed:
                sys.exit(f"{case.op} {case.shapes}: {name} differs from ours in {100 * differing:.2f} % of entries.")


def compare(case: Case, batch: int, dtype: torch.dtype, rounds: int) -> Row:
    """Time and memory of the forms, evaluation mode without gradients and training mode with them."""
    forms, times, memory, milliseconds = case.forms(), {}, {}, {}
    for module in case.modules():
        module.to(dtype)
    count, least = counted(case, inputs_of(case, batch, dtype)), {}
    for passes in PASSES:
        backward = passes == "both"
        for module in case.modules():
            module.train(backward)
        inputs = [x.requires_grad_(backward) for x in inputs_of(case, batch, dtype)]
        leaves = [*inputs, *(p for module in case.modules() for p in module.parameters())]
        timing = measure.interleave(forms, inputs, leaves, backward, rounds)
        peaks = {name: measure.peak_bytes(form, inputs, leaves, backward) for name, form in forms.items()}
        milliseconds[passes] = 1e3 * timing.seconds("ours")
        least[passes] = count.least(*yardsticks(rounds), passes)
        for name in forms.keys() - {"ours"}:
            times[name, passes] = timing.ratio(name, "ours")
            memory[name, passes] = peaks[name] / peaks["ours"]
    size = " + ".join("x".join(map(str, shape)) for shape in case.shapes)
    return Row(case.op, case.of, size, milliseconds, times, memory, count, least)


def clustering_ratio(batch: int, dtype: torch.dtype, rounds: int) -> float:
    """Seconds of clustering 3136 tokens / of the gathering, attention and scattering that it feeds."""
    op = ClusterAttention(96).to(dtype)
    with torch.no_grad():
        q, k, v = split_qkv(op.qkv(torch.randn(batch, 56, 56, 96).to(dtype)).flatten(1, 2), op.head_dim)
        q = q.contiguous()
        clusters = balanced_clusters(q, op.cluster_size)
    functions = {
        "cluster": lambda: balanced_clusters(q, op.cluster_size),
        "attend": lambda: attend_clusters(q, k, v, clusters, op.overlap),
    }
    return measure.interleave(functions, (), (), backward=False, rounds=rounds).ratio("cluster", "attend")


def geometric_mean(numbers: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, numbers))) if numbers else math.nan


def summary(rows: list[Row]) -> list[str]:
    """Geometric means over rows and over ops (of each op's mean), then where another form is faster or smaller."""
    lines = ["", "| geometric means | rows | ops |", "| --- | --- | --- |"]
    for kind, form, passes in itertools.product(("time", "memory"), ("textbook", "timm"), PASSES):
        by_op: dict[str, list[float]] = {}
        for row in rows:
            ratios = getattr(row, kind)
            if (form, passes) in ratios:
                by_op.setdefault(row.op, []).append(ratios[form, passes])
        over_rows = geometric_mean([ratio for ratios in by_op.values() for ratio in ratios])
        over_ops = geometric_mean([geometric_mean(ratios) for ratios in by_op.values()])
        label = f"{kind}, {form} / ours, {'forward' if passes == 'forward' else 'with backward'}"
        lines.append(f"| {label} | {over_rows:.2f} | {over_ops:.2f} |")
    slower = [
        f"* {row.op} {row.size}: {form} / ours {ratio:.2f} {'forward' if passes == 'forward' else 'with backward'}"
        for row in rows
        for (form, passes), ratio in sorted(row.time.items())
        if ratio < EVEN
    ]
    return [*lines, "", f"Slower than another form (a ratio below {EVEN}):", "", *(slower or ["* none"])]


def targets(rows: list[Row], clustering: float) -> list[str]:
    """What this benchmark is to show, and what it shows."""

    def worst(op: str) -> float:
        return min((row.time["textbook", "forward"] for row in rows if row.op == op), default=math.nan)

    means = {
        passes: geometric_mean([row.time["textbook", passes] for row in rows if ("textbook", passes) in row.time])
        for passes in PASSES
    }
    table = (
        ("geometric mean, textbook / ours, forward", ">= 1.5", means["forward"]),
        ("geometric mean, textbook / ours, with backward", ">= 1.3", means["both"]),
        ("slide attention at inference, two convolutions / ours", ">= 1.8", worst("SlideAttention")),
        ("slide attention, fixed, at inference, im2col / ours", ">= 1.3", worst("SlideAttention, fixed")),
        ("clustering 3136 tokens / gather, attention and scatter", "<= 1.5", clustering),
    )
    for passes, wanted in zip(PASSES, ("1.5", "1.3"), strict=True):
        best = geometric_mean([row.at_best(passes) for row in rows])
        label = f"geometric mean if ours did its products and nothing else, {passes}"
        table = (*table, (label, f"(wanted {wanted})", best))
    lines = ["", "| target | wanted | measured |", "| --- | --- | --- |"]
    return lines + [f"| {name} | {wanted} | {number:.2f} |" for name, wanted, number in table]


def counts(rows: list[Row]) -> list[str]:
    """What no form can leave out, ours' share of it, and the ratio at best."""
    header = (
        "| op | size | GMACs of the batch | MB moved at least | least / ours, %, forward | with backward "
        "| textbook / least, forward | with backward |"
    )
    return ["", header, "| --- | --- |" + " --- |" * 6, *(row.count_line() for row in rows)]


def description(batch: int, dtype: torch.dtype, rounds: int) -> str:
    """Machine, versions and sizes: what the numbers depend on."""
    if torch.cuda.is_available():
        machine = torch.cuda.get_device_name()
    else:
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        machine = f"{names[0].split(': ')[1]}, {torch.get_num_threads()} threads"
    return (
        f"{date.today()}, {machine}, torch {torch.__version__}, timm {timm.__version__}, {str(dtype).split('.')[1]}, "
        f"batch {batch}, {rounds} rounds. Ratios above 1: ours is faster or smaller."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="measure the ops whose name contains this")
    parser.add_argument("--quick", action="store_true", help="batch 1 and one round: a check, no measurement")
    parser.add_argument("--batch", type=int, default=0, help="images; 8 on a CPU and 64 on CUDA if not given")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the report to this file too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    on_cuda = torch.cuda.is_available()
    if on_cuda:
        torch.set_default_device("cuda")
    dtype = torch.bfloat16 if on_cuda else torch.float32
    rounds = 1 if arguments.quick else arguments.rounds
    batch = arguments.batch or (1 if arguments.quick else 64 if on_cuda else 8)
    measure.SAMPLE = 0.0 if arguments.quick else measure.SAMPLE

    report = []

    def say(*lines: str) -> None:
        report.extend(lines)
        print(*lines, sep="\n", flush=True)

    say(description(batch, dtype, rounds), "", HEADER, "| --- | --- | --- |" + " --- |" * 10)
    rows = []
    for case in all_cases(arguments.only):
        require_agreement(case, batch=2)
        rows.append(compare(case, batch, dtype, rounds))
        say(rows[-1].line())
    say(*summary(rows), *counts(rows), *targets(rows, clustering_ratio(batch, dtype, rounds)))
    if arguments.out:
        arguments.out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()

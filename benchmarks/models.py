"""Each family's smallest model against timm's own, if timm has one: time, memory, and the fraction of a matrix product's speed.

    python benchmarks/models.py                      all families, batch 4 at 224 pixels, two threads, 15 minutes
    python benchmarks/models.py --only swin_tiny,pale_tiny --threads 1
    python benchmarks/models.py --out benchmarks/results/2026-01-31-laptop-models.md

Forward is in evaluation mode without gradients; a training step is forward, backward and AdamW. The two models of a row
run in turns in one process; a ratio is the median of the rounds' ratios, ours / timm's, so that above 1 ours is slower or
larger. GFLOP/s are two operations for each multiply-add of the closed forms, three times as many in a training step, as a
fraction of a product of matrices of 1024 x 1024 numbers timed in the same rounds.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import measure  # Imported first: it silences the profiler, which reads its settings when torch is imported.
import timm
import torch
from torch import Tensor, nn

import vitmodels

TWINS = {
    "deit_tiny": "deit_tiny_patch16_224",
    "pvtv2_b0": "pvt_v2_b0",
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "tnt_small": "tnt_s_patch16_224",
    "pvt_tiny": None,
    "cswin_tiny": None,
    "t2t_vit_7": None,
    "nat_mini": None,
    "shuffle_tiny": None,
    "msg_tiny": None,
    "axial_tiny": None,
    "dat_tiny": None,
    "localvit_tiny": None,
    "slide_pvt_tiny": None,
    "slide_swin_tiny": None,
    "boat_swin_tiny": None,
    "boat_cswin_tiny": None,
    "pale_tiny": None,
}
"""Our model and timm's of the same computation, where timm has one."""

KINDS = {
    "products": ("mm", "addmm", "bmm", "baddbmm"),
    "attention": ("_scaled_dot_product_flash_attention_for_cpu", "_softmax"),
    "norms": (
        "native_layer_norm",
        "native_batch_norm",
        "_batch_norm_with_update",
        "_native_batch_norm_legit_no_training",
    ),
    "copies": (
        *("copy_", "cat", "index_select", "gather", "roll", "constant_pad_nd", "fill_", "sort", "im2col", "stack"),
        *("index", "zero_"),
    ),
    "elementwise": (
        "add",
        "add_",
        "mul",
        "mul_",
        "div",
        "div_",
        "gelu",
        "hardswish",
        "exp",
        "sub",
        "sum",
        "mean",
        "relu",
    ),
}
"""Operations by what they do; convolutions are told apart by their weights' shape."""

SIDE = 1024
HEADER = (
    "| model | GMACs | forward, ms | ours / timm | of the matrix product, % | timm, % "
    "| step, ms | ours / timm | of the matrix product, % | timm, % | memory of a step, MiB | ours / timm "
    "| where a forward pass goes, % |"
)


def matrix_product() -> Tensor:
    """The yardstick: a product of square matrices."""
    return FACTOR @ FACTOR


FACTOR = torch.randn(SIDE, SIDE)


def forward(model: nn.Module, image: Tensor) -> Callable[[], Tensor]:
    """The model in evaluation mode."""
    return lambda: model.eval()(image)


def training_step(model: nn.Module, image: Tensor) -> Callable[[], Tensor]:
    """One step of AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> Tensor:
        with torch.enable_grad():
            loss = model.train()(image).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return loss.detach()

    return step


@dataclass(frozen=True)
class Measured:
    """Seconds of ours, ratio to timm's, and the fractions of the matrix product that ours and timm's reach."""

    seconds: float
    ratio: float | None
    ours: float
    theirs: float | None


def compare(
    models: dict[str, nn.Module], macs: int, image: Tensor, make: Callable[..., Callable[[], Tensor]], rounds: int
) -> Measured:
    """Time the models and the matrix product in turns; ``macs`` are those of one image and pass."""
    functions = {name: make(model, image) for name, model in models.items()} | {"product": matrix_product}
    timing = measure.interleave(functions, (), (), backward=False, rounds=rounds)
    work = (3 if make is training_step else 1) * macs * image.shape[0]

    def fraction(name: str) -> float:
        pairs = zip(timing.rounds["product"], timing.rounds[name], strict=True)
        return statistics.median(work * product / (SIDE**3 * own) for product, own in pairs)

    twin = "timm" in models
    return Measured(
        timing.seconds("ours"),
        timing.ratio("ours", "timm") if twin else None,
        fraction("ours"),
        fraction("timm") if twin else None,
    )


def shares(model: nn.Module, image: Tensor) -> str:
    """Where the time of a forward pass goes, in per cent of the operations' own time."""
    with torch.no_grad(), torch.profiler.profile(record_shapes=True) as profile:
        model.eval()(image)
    spent: dict[str, float] = {}
    for event in profile.key_averages(group_by_input_shape=True):
        operation = event.key.removeprefix("aten::")
        kind = next((kind for kind, operations in KINDS.items() if operation in operations), "other")
        if "convolution" in operation and len(event.input_shapes) > 1:
            weight = event.input_shapes[1]
            kind = "depth-wise" if len(weight) > 1 and weight[1] == 1 else "products"
        spent[kind] = spent.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(spent.values())
    ordered = sorted(spent.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {100 * time / total:.0f}" for kind, time in ordered if time > 0.02 * total)


def row(name: str, twin: str | None, batch: int, rounds: int) -> str:
    """Measure one model and its twin."""
    models = {"ours": timm.create_model(name)}
    if twin:
        models["timm"] = timm.create_model(twin)
    image = torch.randn(batch, 3, 224, 224)
    macs = models["ours"].macs(224, 224)
    cells = [f"`{name}`" + (f" ({twin})" if twin else ""), f"{macs / 1e9:.2f}"]
    for make in (forward, training_step):
        found = compare(models, macs, image, make, rounds)
        cells += [f"{1e3 * found.seconds:.0f}", "" if found.ratio is None else f"{found.ratio:.2f}"]
        cells += [f"{100 * found.ours:.0f}", "" if found.theirs is None else f"{100 * found.theirs:.0f}"]
    peaks = {
        key: measure.peak_bytes(training_step(model, image), (), (), backward=False) for key, model in models.items()
    }
    cells += [f"{peaks['ours'] / 2**20:.0f}", f"{peaks['ours'] / peaks['timm']:.2f}" if twin else ""]
    cells.append(shares(models["ours"], image))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="measure these models, separated by commas")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the report to this file too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    report = [
        f"{date.today()}, {names[0].split(': ')[1]}, {arguments.threads} threads, torch {torch.__version__}, "
        f"timm {timm.__version__}, float32, batch {arguments.batch}, {arguments.rounds} rounds.",
        "",
        HEADER,
        "|" + " --- |" * 13,
    ]
    print(*report, sep="\n", flush=True)
    for name, twin in TWINS.items():
        if (not arguments.only or name in arguments.only.split(",")) and name in vitmodels.MODELS:
            report.append(row(name, twin, arguments.batch, arguments.rounds))
            print(report[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()

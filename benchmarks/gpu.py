"""Tests and speed on a GPU, in one file of results; ``gpu.sh`` runs it and says how.

    benchmarks/gpu.sh --minutes 7

Parts, each within its share of the time: the tests marked ``gpu``; images a second and memory of every family's smallest model
beside timm's own; each op against the least time that its products and its bytes can take; the models compiled. What does not fit
into the time, or needs a package that is missing, is named in the results.
"""

import argparse
import contextlib
import importlib.util
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import measure  # Imported first: it silences the profiler, which reads its settings when torch is imported.
import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
NEEDED = {
    "tests": ("pytest", "jaxtyping", "timm", "lightning", "jsonargparse"),
    "models": ("jaxtyping", "timm"),
    "ops": ("jaxtyping", "timm"),
}
PACKAGES = {
    **{
        name: name
        for name in ("pytest", "jaxtyping", "wadler_lindig", "huggingface_hub", "safetensors", "hypothesis", "timm")
    },
    "torchvision": "torchvision",
    "yaml": "pyyaml",
    "lightning": "lightning",
    "jsonargparse": "jsonargparse",
    "lightning_utilities": "lightning-utilities",
    "torchmetrics": "torchmetrics",
    "tensorboard": "tensorboard",
    "typeshed_client": "typeshed-client",
    "docstring_parser": "docstring-parser",
    "sklearn": "scikit-learn",
    "rich": "rich",
}
"""Module -> package, of everything that a part imports, so that each can be installed without what it depends on."""
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
TRAIN = ROOT / "tests" / "cli" / "training" / "test_on_gpu.py"
TESTS = [ROOT / "tests" / "core" / "test_on_gpu.py", ROOT / "tests" / "models" / "test_on_gpu.py", TRAIN]
DRY_MODELS, DRY_TESTS, DRY_OPS = (
    ("deit_tiny", "swin_tiny"),
    "(global and not _) or deit_tiny- or not_fit",
    "WindowAttention",
)


def missing(modules: tuple[str, ...]) -> list[str]:
    """The modules that cannot be imported."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


class Report:
    """Lines that are printed as they come, and kept for the file."""

    def __init__(self, minutes: float) -> None:
        self.lines: list[str] = []
        self.end = time.monotonic() + 60 * minutes

    def say(self, *lines: str) -> None:
        self.lines += lines
        print(*lines, sep="\n", flush=True)

    def left(self, share: float = 1.0) -> float:
        """Seconds until the end, or a share of them."""
        return max(0.0, share * (self.end - time.monotonic()))

    @contextlib.contextmanager
    def part(self, title: str, name: str) -> Iterator[bool]:
        """A part of the results. Yields whether its packages are installed; errors are recorded, and the other parts go on."""
        self.say("", f"## {title}", "")
        lacking = missing(NEEDED[name])
        if lacking:
            self.say(f"Left out: {', '.join(lacking)} cannot be imported.")
        try:
            yield not lacking
        except Exception as error:  # one of many benchmarks: a failure is a result too
            traceback.print_exc()
            self.say(f"Failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}")


def tests(report: Report, dry: bool) -> None:
    """Run the tests marked gpu, of all ops and families."""
    chosen = ["-k", DRY_TESTS] if dry else ["--slow", "--exhaustive"]
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "ignore",
        "-p",
        "no:cacheprovider",
        "--tb=line",
        "--gpu_on_cpu",
    ]
    try:
        done = subprocess.run(
            [*words, *chosen, *map(str, TESTS)], cwd=ROOT, capture_output=True, text=True, timeout=report.left(0.4)
        )
        told = [
            line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")) or " in " in line[-20:]
        ]
        report.say(*(told[-40:] or done.stderr.splitlines()[-5:]))
    except subprocess.TimeoutExpired as late:
        out = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        report.say(f"Not done after {late.timeout:.0f} s; so far: {out.splitlines()[-1] if out else 'nothing'}")


def forward(model: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    """The model in evaluation mode, in bfloat16 on a GPU."""

    def run() -> Tensor:
        with torch.no_grad(), torch.autocast(DEVICE.type, torch.bfloat16, enabled=CUDA):
            output: Tensor = model(images)
            return output

    model.eval()
    return run


def training_step(model: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    """Forward, backward and fused AdamW, in bfloat16 on a GPU."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def run() -> Tensor:
        with torch.enable_grad():
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=CUDA):
                loss = model(images).float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return loss.detach()

    model.train()
    return run


def rates(models: dict[str, nn.Module], images: Tensor, rounds: int) -> list[str]:
    """Images a second forward and in a training step, and memory of a step, of ours and timm's in turns."""
    cells = []
    for make in (forward, training_step):
        functions = {name: make(model, images) for name, model in models.items()}
        timing = measure.interleave(functions, (), (), backward=False, rounds=rounds)
        cells += [f"{len(images) / timing.seconds(name):.0f}" if name in functions else "" for name in ("ours", "timm")]
    for name in ("ours", "timm"):
        peak = measure.peak_bytes(training_step(models[name], images), (), (), False) if name in models else 0
        cells.append(f"{peak / 2**20:.0f}" if peak else "")
    return cells


def models(report: Report, dry: bool, compiled: bool) -> None:
    """Measure every family's smallest model; compiled ones in the order of the table until the time is over."""
    import timm
    from models import TWINS

    batch, side, rounds = (2, 64, 1) if dry else (128, 224, 5)
    until = report.left(0.5) if not compiled else report.left(0.9)
    begun = time.monotonic()
    report.say(
        "| model | forward, images/s | timm | training, images/s | timm | memory of a step, MiB | timm |",
        "|" + " --- |" * 7,
    )
    images = torch.randn(batch, 3, side, side, device=DEVICE)
    names = [name for name in TWINS if not dry or name in DRY_MODELS[: 1 if compiled else None]]
    for number, name in enumerate(names):
        if time.monotonic() - begun > until:
            report.say("", f"Out of time before {', '.join(names[number:])}.")
            return
        twin = TWINS[name]
        made = {"ours": timm.create_model(name, img_size=side)}
        if twin:
            sized = {"img_size": side} if "pvt" not in twin else {}
            made["timm"] = timm.create_model(twin, **sized)
        for model in made.values():
            model.to(DEVICE)
            if compiled:
                model.compile(backend="aot_eager" if dry else "inductor")
        report.say(f"| {' | '.join([f'`{name}`', *rates(made, images, rounds)])} |")
        del made
        torch.compiler.reset()


def ops(report: Report, dry: bool) -> None:
    """Each op against its bound: its products at the rate of a large product, or its bytes at the rate of a large copy."""
    from cases import all_cases
    from ops import counted, inputs_of

    dtype, batch, side, copied = (torch.float32, 1, 256, 2**20) if dry else (torch.bfloat16, 64, 8192, 2**30)
    torch.set_default_device(DEVICE)
    factor, large = torch.randn(side, side).to(dtype), torch.empty(copied, dtype=torch.uint8)
    stick = measure.interleave({"product": lambda: factor @ factor, "copy": large.clone}, (), (), False, 3)
    macs_second, bytes_second = side**3 / stick.seconds("product"), 2 * copied / stick.seconds("copy")
    report.say(
        f"A product reaches {macs_second / 1e12:.3f} T multiply-adds/s, a copy moves {bytes_second / 1e9:.1f} GB/s.", ""
    )
    report.say("| op | size | forward, ms | least / it, % | with backward, ms | least / it, % |", "|" + " --- |" * 6)
    until, begun = report.left(0.5), time.monotonic()
    for case in all_cases(DRY_OPS if dry else ""):
        if time.monotonic() - begun > until:
            report.say("", f"Out of time before {case.op}.")
            break
        case.ours.to(DEVICE, dtype)
        inputs = inputs_of(case, batch, dtype)
        count, cells = counted(case, inputs), [case.op, " + ".join("x".join(map(str, shape)) for shape in case.shapes)]
        for backward, products, moves in ((False, 1, 1), (True, 3, 2)):
            case.ours.train(backward)
            given = [x.detach().requires_grad_(backward) for x in inputs]
            leaves = [*given, *case.ours.parameters()]
            timing = measure.interleave({"ours": case.forms()["ours"]}, given, leaves, backward, 1 if dry else 3)
            least = max(products * count.macs / macs_second, moves * count.bytes / bytes_second)
            cells += [f"{1e3 * timing.seconds('ours'):.3f}", f"{100 * least / timing.seconds('ours'):.0f}"]
        report.say(f"| {' | '.join(cells)} |")
    torch.set_default_device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dry", action="store_true", help="tiny sizes on the available device, to check that all parts run"
    )
    parser.add_argument("--minutes", type=float, default=7.0, help="time of everything together")
    parser.add_argument("--missing", action="store_true", help="print the packages that are missing, and end")
    arguments = parser.parse_args()
    if arguments.missing:
        print(" ".join(PACKAGES[name] for name in missing(tuple(PACKAGES))))
        return
    if not CUDA and not arguments.dry:
        sys.exit("gpu.py: there is no CUDA device; --dry runs everything on the CPU at tiny sizes.")
    report, dry = Report(arguments.minutes), arguments.dry
    measure.SAMPLE = 0.0 if dry else measure.SAMPLE
    name = torch.cuda.get_device_name() if CUDA else "CPU"
    report.say(
        f"{date.today()}, {name}, torch {torch.__version__}, {os.cpu_count()} CPU cores{', dry' if dry else ''}."
    )
    with report.part("Tests", "tests") as possible:
        if possible:
            tests(report, dry)
    with report.part("Models, eager", "models") as possible:
        if possible:
            models(report, dry, compiled=False)
    with report.part("Ops against their bounds", "ops") as possible:
        if possible:
            ops(report, dry)
    with report.part("Models, compiled", "models") as possible:
        if possible:
            models(report, dry, compiled=True)
    if not dry:
        path = ROOT / "benchmarks" / "results" / f"{date.today()}-gpu.md"
        path.write_text("\n".join(report.lines) + "\n")
        print(f"\nResults: {path}")
    if any(line.startswith(("Failed", "FAILED", "ERROR")) for line in report.lines):
        sys.exit(1)


if __name__ == "__main__":
    main()

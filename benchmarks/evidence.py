"""How often the report's verdicts are wrong, and how often they are found: the default comparison on simulated ablations.

    python benchmarks/evidence.py                                  20,000 repetitions a case, minutes on one core
    python benchmarks/evidence.py --repetitions 2000               a quick look

Prints Markdown tables, writes them to ``benchmarks/results/<date>-evidence.md``, and fails if a promise does not hold: a
family-wise error of at most 5 % and a coverage of at least 94 %, each up to three standard errors of the simulation, and a
power of at least 0.65 at the effects of ``make demo`` with 30 trials.
"""

import argparse
import itertools
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scipy
from scipy import special
from simulation import Design, all_tests, samples, simulate

from vitcli.statistics.against_baseline import compare_with_baseline
from vitcli.statistics.joint import step_down
from vitcli.statistics.looks import Look
from vitcli.statistics.planning import seeds_range
from vitcli.statistics.significance import Floats, SeedsNeeded, holm, t_test

SPREADS = {"1:1": (1, 1), "3:1": (3, 1), "1:3": (1, 3), "9:1": (9, 1), "1:9": (1, 9)}
SEEDS = (Look(3, 3), Look(5, 5), Look(10, 10), Look(10, 5))
COMPARISONS = (4, 18)
CORRELATIONS = (0.0, 0.5, 0.9)
ALLOCATIONS = (Look(3, 3), Look(6, 3), Look(9, 3), Look(5, 5), Look(10, 5), Look(15, 5), Look(20, 10), Look(30, 10))
WIDE = ((9, 1), (1, 1), (1, 3), (1, 9))
BEYOND = (Look(13, 3), Look(21, 5), Look(25, 5))
DEMO = {
    "demo, sd 0.033 against 0.004-0.017, +0.04": ((0.017, 0.004, 0.010, 0.012), 0.033, (0.04,) * 4),
    "demo, sd 0.022 against 0.004-0.019, +0.032": ((0.019, 0.004, 0.012, 0.015), 0.022, (0.032, 0.032, 0.031, 0.034)),
    "equal spreads 0.0187, +0.035": ((0.0187,) * 4, 0.0187, (0.035,) * 4),
}
ERROR, COVERAGE, POWER = 0.05, 0.94, 0.65

Adjusted = Callable[[Floats, Floats], Floats]


def errors(repetitions: int, failures: list[str]) -> Iterator[str]:
    """Family-wise error and coverage, nothing differs."""
    yield "Share of experiments with a false verdict where no arm differs: one look / two looks, the second at twice the seeds."
    yield ""
    yield f"| seeds | comparisons | correlation | {' | '.join(SPREADS)} | least coverage |"
    yield "|---|---:|---:|" + "---|" * len(SPREADS) + "---:|"
    for seeds, k, correlation in itertools.product(SEEDS, COMPARISONS, CORRELATIONS):
        cells, coverages = [], []
        for baseline, arm in SPREADS.values():
            pair = []
            for looks in ((seeds,), (seeds, Look(2 * seeds.baseline, 2 * seeds.arms))):
                rates = simulate(Design(looks, (float(arm),) * k, float(baseline), correlation), repetitions)
                pair.append(rates.family_error)
                coverages.append(rates.coverage)
            cells.append(" / ".join(f"{error:.3f}" for error in pair))
            check(max(pair), ERROR, repetitions, f"{name(seeds)}, {k}, {correlation}, {baseline}:{arm}", failures)
        check(1 - min(coverages), 1 - COVERAGE, repetitions, f"coverage, {name(seeds)}, {k}, {correlation}", failures)
        yield f"| {name(seeds)} | {k} | {correlation:g} | {' | '.join(cells)} | {min(coverages):.3f} |"


def allocations(repetitions: int, failures: list[str]) -> Iterator[str]:
    """Family-wise error over allocations, few and many comparisons."""
    yield "Largest family-wise error over spreads 9:1, 1:1, 1:3, 1:9 and correlations 0, 0.9, by the number of comparisons."
    yield ""
    yield "| baseline + arms | 1 | 4 | 18 | 50 |"
    yield "|---|---:|---:|---:|---:|"
    for seeds in (*ALLOCATIONS, *BEYOND):
        worst = []
        for k in (1, 4, 18, 50):
            designs = [
                Design((seeds,), (float(arm),) * k, float(baseline), correlation)
                for (baseline, arm), correlation in itertools.product(WIDE, (0.0, 0.9))
            ]
            worst.append(max(simulate(design, repetitions // 4).family_error for design in designs))
        if seeds in ALLOCATIONS:
            check(max(worst), ERROR, repetitions // 4, f"allocation {name(seeds)}", failures)
        yield f"| {name(seeds)}{' (vitcli warns)' if seeds in BEYOND else ''} | {' | '.join(f'{error:.3f}' for error in worst)} |"


def methods(repetitions: int) -> Iterator[str]:
    """Compare the default with what else was tried."""
    tried: dict[str, Adjusted] = {
        "paired t, Holm": lambda baseline, arms: holm(t_test(arms - baseline[:, None, : arms.shape[-1]])),
        "Welch, Holm": lambda baseline, arms: holm(welch(baseline, arms, 1.0)),
        "Welch, 0.75 of its degrees of freedom, Holm": lambda baseline, arms: holm(welch(baseline, arms, 0.75)),
        "Dunnett, pooled variance": dunnett,
        "the default": default,
    }
    power = [
        (label, Design((seeds,), spreads, baseline, 0.0, effects))
        for label, (spreads, baseline, effects) in DEMO.items()
        for seeds in (Look(5, 5), Look(10, 5))
    ]
    power.append(("correlation 0.9, +0.8 sd", Design((Look(5, 5),), (1.0,) * 4, 1.0, 0.9, (0.8,) * 4)))
    false = [(f"{b}:{a}, {k} comparisons", Design((seeds,), (float(a),) * k, float(b))) for seeds, k, b, a in FALSE]
    for title, designs in (("Power (mean over the arms)", power), ("Family-wise error", false)):
        yield f"| {title} | seeds | {' | '.join(tried)} |"
        yield "|---|---|" + "---:|" * len(tried)
        for label, design in designs:
            cells = []
            for adjusted in tried.values():
                found = [adjusted(*values) <= ERROR for values in samples(design, repetitions // 4, 1)]
                found = np.concatenate(found)
                cells.append(found.mean() if design.effects else found.any(-1).mean())
            yield f"| {label} | {name(design.looks[0])} | {' | '.join(f'{cell:.3f}' for cell in cells)} |"
        yield ""


FALSE = (
    (Look(3, 3), 4, 1, 9),
    (Look(10, 5), 4, 1, 3),
    (Look(10, 5), 18, 1, 3),
    (Look(13, 3), 4, 1, 1),
    (Look(21, 5), 18, 1, 1),
    (Look(5, 5), 4, 3, 1),
    (Look(10, 5), 4, 9, 1),
)


def welch(baseline: Floats, arms: Floats, factor: float) -> Floats:
    """Welch's test with part of Satterthwaite's degrees of freedom, written out."""
    a, b = arms.var(-1, ddof=1) / arms.shape[-1], baseline.var(-1, ddof=1)[:, None] / baseline.shape[-1]
    degrees = factor * (a + b) ** 2 / (a**2 / (arms.shape[-1] - 1) + b**2 / (baseline.shape[-1] - 1))
    return 2 * special.stdtr(degrees, -np.abs(arms.mean(-1) - baseline.mean(-1)[:, None]) / np.sqrt(a + b))


def dunnett(baseline: Floats, arms: Floats) -> Floats:
    """Dunnett's test, step by step, by its normal approximation of the pooled t: for comparison only."""
    k, n, n0 = arms.shape[1], arms.shape[-1], baseline.shape[-1]
    degrees = k * (n - 1) + n0 - 1
    pooled = ((n - 1) * arms.var(-1, ddof=1).sum(-1) + (n0 - 1) * baseline.var(-1, ddof=1)) / degrees
    t = (arms.mean(-1) - baseline.mean(-1)[:, None]) / np.sqrt(pooled * (1 / n + 1 / n0))[:, None]
    return step_down(2 * special.stdtr(float(degrees), -np.abs(t)), np.full(t.shape, (1 / n0) / (1 / n + 1 / n0)))


def default(baseline: Floats, arms: Floats) -> Floats:
    tests, _ = all_tests(baseline, arms)
    return step_down(tests.p_values, tests.shared)


def power(repetitions: int, failures: list[str]) -> Iterator[str]:
    """Power at the demo's effects and spreads, four comparisons."""
    yield "| four arms | seeds | trials | an arm is found | any arm is found | intervals hold jointly |"
    yield "|---|---|---:|---:|---:|---:|"
    for label, (spreads, baseline, effects) in DEMO.items():
        for seeds in (Look(5, 5), Look(6, 6), Look(10, 5), Look(15, 5)):
            rates = simulate(Design((seeds,), spreads, baseline, 0.0, effects), repetitions)
            trials = seeds.baseline + 4 * seeds.arms
            if label.startswith("demo") and seeds == Look(10, 5) and rates.power < POWER:
                failures.append(f"power {rates.power:.3f} for {label} with {name(seeds)}, promised {POWER}")
            yield f"| {label} | {name(seeds)} | {trials} | {rates.power:.3f} | {rates.power_any:.3f} | {rates.coverage:.3f} |"


def pairs(repetitions: int) -> Iterator[str]:
    """How often the data show a correlation of arms and baseline, so that pairs are compared."""
    yield "Share of experiments with four arms of equal spreads in which the correlation is seen and pairs are compared."
    yield ""
    yield "| seeds | correlation 0 | 0.5 | 0.9 |"
    yield "|---|---:|---:|---:|"
    for seeds in (Look(5, 5), Look(10, 10)):
        designs = [Design((seeds,), (1.0,) * 4, 1.0, correlation) for correlation in CORRELATIONS]
        yield f"| {name(seeds)} | {' | '.join(f'{simulate(design, repetitions).paired:.3f}' for design in designs)} |"


def looks(repetitions: int) -> Iterator[str]:
    """Undeclared looks at 5 % each, and declared ones that share it."""
    yield "| seeds at the looks, 4 arms like the baseline | declared: error | each at 5 %: error | bound that the report states |"
    yield "|---|---:|---:|---:|"
    for seeds in ((5, 8), (5, 8, 10), (5, 8, 10, 15, 20), (5, 10, 20)):
        design = Design(tuple(Look(n, n) for n in seeds), (1.0,) * 4)
        any_look = []
        for baseline, arms in samples(design, repetitions // 2, 2):
            found = [(default(baseline[:, :n], arms[..., :n]) <= ERROR).any(-1) for n in seeds]
            any_look.append(np.any(found, axis=0))
        undeclared = np.concatenate(any_look).mean()
        declared = simulate(design, repetitions // 2).family_error
        yield f"| {', '.join(map(str, seeds))} | {declared:.3f} | {undeclared:.3f} | {ERROR * len(seeds):.2f} |"


def equivalence(repetitions: int) -> Iterator[str]:
    """What a margin and a range of seeds can say, with the shipped functions themselves."""
    yield "| 4 arms of equal spread, no difference | margin | equivalent |"
    yield "|---|---:|---:|"
    for seeds, margin in itertools.product((Look(5, 5), Look(10, 5), Look(10, 10), Look(20, 20)), (1.0, 2.0)):
        found = []
        for comparisons in compared(Design((seeds,), (1.0,) * 4), repetitions, margin):
            found += ["equivalent" in one.verdict for one in comparisons.differences.values()]
        yield f"| {name(seeds)} | {margin:g} sd | {np.mean(found):.3f} |"
    yield ""
    yield "One arm that is 1.16 standard deviations better: the range of seeds needed that is reported."
    yield ""
    yield "| seeds each | lower end, median | upper end, median | upper end over 1000 |"
    yield "|---|---:|---:|---:|"
    for n in (3, 5, 10, 20):
        design = Design((Look(n, n),), (1.0,), effects=(1.16,))
        ranges = [seeds_range(one.differences["0"], one) for one in compared(design, repetitions, None)]
        low, high = ([as_number(end) for end in ends] for ends in ([r.low for r in ranges], [r.high for r in ranges]))
        middle = [f"{end:.0f}" if math.isfinite(end) else "over 1000" for end in (np.median(low), np.median(high))]
        yield f"| {n} | {middle[0]} | {middle[1]} | {np.isinf(high).mean():.2f} |"


def as_number(seeds: SeedsNeeded) -> float:
    return math.inf if isinstance(seeds, str) else seeds


def compared(design: Design, repetitions: int, margin: float | None) -> Iterator:
    for baseline, arms in samples(design, repetitions, 3):
        for one, others in zip(baseline, arms, strict=True):
            named = {str(i): dict(enumerate(arm.tolist())) for i, arm in enumerate(others)}
            yield compare_with_baseline(dict(enumerate(one.tolist())), named, "max", margin=margin)


def check(rate: float, promised: float, repetitions: int, case: str, failures: list[str]) -> None:
    allowed = promised + 3 * math.sqrt(promised * (1 - promised) / repetitions)
    if rate > allowed:
        failures.append(f"{rate:.4f} > {allowed:.4f}: {case}")


def processor() -> str:
    """The processor's name where the system tells it, else its kind."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def name(seeds: Look) -> str:
    return f"{seeds.baseline} + {seeds.arms}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20_000)
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/<date>-evidence.md")
    arguments = parser.parse_args()
    started, cpu, failures, n = time.perf_counter(), time.process_time(), [], arguments.repetitions
    sections = {
        "## Family-wise error and coverage": errors(n, failures),
        "## Power": power(n, failures),
        "## Other methods": methods(n),
        "## Pairs": pairs(n),
        "## Allocations": allocations(n, failures),
        "## Looks": looks(n),
        "## Margins, and seeds needed": equivalence(max(100, n // 40)),
    }
    lines = []
    for title, rows in sections.items():
        for line in itertools.chain(("", title, ""), rows):
            print(line, flush=True)
            lines.append(line)
    seconds = f"{time.process_time() - cpu:.0f} s of one core ({time.perf_counter() - started:.0f} s on the wall)"
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    head = f"{date.today()}, {processor()}, {versions}, {n} repetitions a case, {seconds}. Spreads are baseline : arms."
    lines.insert(0, head)
    out = arguments.out or Path(__file__).parent / "results" / f"{date.today()}-evidence.md"
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"\n{seconds}; written to {out}")
    if failures:
        sys.exit("Promises that do not hold:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()

"""The same models in two versions of this project, in turns: the ratio of their processor time, with an interval.

    git worktree add ../before 8a4a21e
    python benchmarks/versions.py --before ../before --only localvit_tiny,shuffle_tiny,pale_tiny
    python benchmarks/versions.py --before ../before --out benchmarks/results/2026-01-31-versions.md

Each pair of processes, one of each version, builds the models anew, because the placement of memory makes two processes of one
version differ by more than two rounds of one process. Within a pair the versions take turns, and each goes first equally often. A
time is processor time of one thread; a ratio is after / before, so that above 1 the working tree is slower: the median of all
rounds, and the interval between the order statistics that holds it with at least 95 % confidence. Forward is in evaluation mode
without gradients; a step is forward, backward and AdamW.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("core", "models")
WORKER = """
import json, sys, time
import timm, torch, vitmodels

torch.set_num_threads(1)
torch.manual_seed(0)
name, batch = sys.argv[1], int(sys.argv[2])
model, image = timm.create_model(name), torch.randn(batch, 3, 224, 224)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

def forward():
    with torch.no_grad():
        model.eval()(image)

def step():
    model.train()(image).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()

def seconds(function):
    start = time.thread_time()
    function()
    return time.thread_time() - start

for function in (forward, step):
    function()
print(json.dumps({}), flush=True)
for _ in sys.stdin:
    print(json.dumps({"forward": min(seconds(forward), seconds(forward)), "step": seconds(step)}), flush=True)
"""


def started(tree: Path, name: str, batch: int) -> subprocess.Popen[str]:
    """A process that measures a model of the sources in a tree, one round for each line that it is sent."""
    places = os.pathsep.join(str(tree / "packages" / package / "src") for package in PACKAGES)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WORKER, name, str(batch)],
        env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def one_round(process: subprocess.Popen[str]) -> dict[str, float]:
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def measured(
    trees: dict[str, Path], name: str, batch: int, pairs: int, rounds: int
) -> list[dict[str, dict[str, float]]]:
    """Seconds of each version in each round."""
    found = []
    for pair in range(pairs):
        processes = {version: started(tree, name, batch) for version, tree in trees.items()}
        for process in processes.values():
            process.stdout.readline()
        for number in range(rounds):
            order = list(processes) if (pair + number) % 2 else list(reversed(processes))
            found.append({version: one_round(processes[version]) for version in order})
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return found


def interval(values: list[float]) -> tuple[float, float]:
    """The order statistics that hold the median with at least 95 % confidence."""
    count, ordered, below, left = len(values), sorted(values), 0.0, 0
    while below + math.comb(count, left) / 2**count <= 0.025:
        below += math.comb(count, left) / 2**count
        left += 1
    return ordered[max(left - 1, 0)], ordered[-max(left, 1)]


def rows(name: str, found: list[dict[str, dict[str, float]]]) -> list[str]:
    """A line for the forward pass and one for the step."""
    lines = []
    for what in ("forward", "step"):
        before, after = ([one[version][what] for one in found] for version in ("before", "after"))
        ratios = [second / first for first, second in zip(before, after, strict=True)]
        low, high = interval(ratios)
        times = " | ".join(f"{statistics.median(values):.3f}" for values in (before, after))
        lines.append(f"| `{name}` | {what} | {times} | {statistics.median(ratios):.3f} | {low:.3f} to {high:.3f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the earlier version")
    parser.add_argument("--only", default="localvit_tiny,shuffle_tiny,pale_tiny", help="models, separated by commas")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=8, help="pairs of processes for each model")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each pair")
    parser.add_argument("--out", type=Path, help="write the report to this file too")
    arguments = parser.parse_args()
    trees = {"before": arguments.before.resolve(), "after": ROOT}
    commits = {
        version: subprocess.run(
            ["git", "-C", tree, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for version, tree in trees.items()
    }
    report = [
        f"{date.today()}, one thread, batch {arguments.batch} at 224 pixels, {arguments.pairs} pairs of processes with "
        f"{arguments.rounds} rounds each; before: {commits['before']}, after: {commits['after']}.",
        "",
        "| model | what | before, s | after, s | ratio | interval |",
        "|---|---|---:|---:|---:|---:|",
    ]
    print(*report, sep="\n", flush=True)
    for name in arguments.only.split(","):
        lines = rows(name, measured(trees, name, arguments.batch, arguments.pairs, arguments.rounds))
        report += lines
        print(*lines, sep="\n", flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()

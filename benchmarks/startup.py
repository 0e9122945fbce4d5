"""How long commands take in a shell, relative to importing torch: ``python benchmarks/startup.py [--before TREE]``.

All commands run in turns, so that a change of the machine's load affects all equally; each ratio is the median over the rounds of
the ratio to that round's ``python -c "import torch"``. ``--before`` is another checkout of this repository, whose sources run in
the same environment.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("packages/core/src", "packages/models/src", "packages/tasks/src", "cli/src")
TORCH = "import torch"
FILE = "ablations/localvit_act.yaml"
COMPARED = "plan boat_overlap --quick"
"""The command that is timed in the other checkout too."""
COMMANDS = {
    "list": ["list"],
    "show --help": ["show", "--help"],
    "fit, misspelt arm": ["fit", "--config", FILE, "--ablation.only", "h_swihs"],
    "fit, misspelt key of the ablation": ["fit", "--config", FILE, "--ablation.sedes", "3"],
    "fit, misspelt key at the top": ["fit", "--config", FILE, "--trianer.max_epochs", "3"],
    "fit, missing file": ["fit", "--config", "ablations/localvit_atc.yaml"],
    "fit, misspelt key of the trainer": ["fit", "--config", FILE, "--trainer.max_epoch", "3"],
    "plan boat_overlap --quick": ["plan", "ablations/boat_overlap.yaml", "--quick"],
    "plan of the demo --quick": ["plan", FILE, "--quick"],
}


def seconds(tree: Path, words: list[str]) -> float:
    """Return how long a command takes with the sources of a tree."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(tree / source) for source in SOURCES),
        "COLUMNS": "120",
    }
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=tree, env=environment, capture_output=True)
    return time.perf_counter() - started


def command(tree: Path, words: list[str]) -> list[str]:
    """Return the words after ``python``; a version without ``--quick`` does not rehearse anyway."""
    quick = "--quick" in (tree / "cli/src/vitcli/main.py").read_text() + "".join(
        path.read_text() for path in tree.glob("cli/src/vitcli/table.py")
    )
    return ["-m", "vitcli.main", *(word for word in words if quick or word != "--quick")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    trees = {"now": ROOT, **({"before": given.before} if given.before else {})}
    found: dict[tuple[str, str], list[float]] = {
        (name, tree): [] for name in COMMANDS for tree in trees if tree == "now" or name == COMPARED
    }
    torch = []
    for number in range(given.rounds):
        torch.append(seconds(ROOT, ["-c", TORCH]))
        for name, words in COMMANDS.items():
            for tree in [tree for tree in trees if (name, tree) in found][:: 1 if number % 2 else -1]:
                found[name, tree].append(seconds(trees[tree], command(trees[tree], words)) / torch[-1])
    print(
        f"import torch: {statistics.median(torch):.2f} s ({min(torch):.2f}-{max(torch):.2f}), {given.rounds} rounds\n"
    )
    print(f"| command | {' | '.join(trees)} |\n|---|{'---:|' * len(trees)}")
    for name in COMMANDS:
        ratios = [found.get((name, tree), []) for tree in trees]
        cells = [f"{statistics.median(one):.2f} ({min(one):.2f}-{max(one):.2f})" if one else "" for one in ratios]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

"""How well does a small recipe learn, and how much do its results vary over seeds? For choosing recipes, on pilot seeds only.

Run     python benchmarks/recipes.py ablations/localvit_act.yaml --arms relu6 se_by4 \
            --recipe "old: " --recipe "average pooling: --model.backbone.global_pool avg"

A recipe is a name and further options of `vitcli fit`. Each trial trains on one thread with a seed from 1000 upward, which no
ablation uses, and is kept as one line of a file, so that the same command continues where it was interrupted. A recipe is chosen
by its mean and its spread, never by the difference between arms.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from vitcli.ablation.planning.make_plan import make_plan
from vitcli.ablation.planning.plan import Plan
from vitcli.config.command_line import parse_arguments
from vitcli.training.run import fit_and_test

Trials = dict[tuple[str, int], dict[str, float]]


def trial(plan: Plan, arm: str, seed: int) -> dict[str, float]:
    """Train and test one trial; return its score and the processor time that it took."""
    config = plan.trial_config(arm, seed)
    since = time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        found = fit_and_test({**config, "trainer": {**config["trainer"], "logger": False}}, Path(directory))
    return {"score": found["metrics"][plan.spec.metric.name], "seconds": time.process_time() - since}


def kept(path: Path) -> Trials:
    """Return the trials of earlier runs of this command."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {(line["arm"], line["seed"]): line for line in map(json.loads, lines)}


def measure(plan: Plan, arms: Iterable[str], seeds: range, path: Path) -> Trials:
    """Run what is missing, seed by seed, so that all arms have about as many when it is interrupted."""
    found = kept(path)
    for seed in seeds:
        for arm in arms:
            if (arm, seed) not in found:
                found[arm, seed] = trial(plan, arm, seed)
                with path.open("a") as file:
                    file.write(json.dumps({"arm": arm, "seed": seed, **found[arm, seed]}) + "\n")
    return {(arm, seed): found[arm, seed] for arm in arms for seed in seeds}


def row(name: str, arms: list[str], trials: Trials) -> str:
    """One line of the table: mean and standard deviation of each arm, pooled standard deviation, seconds of a trial."""
    cells, variances = [], []
    for arm in arms:
        scores = np.array([one["score"] for (of, _), one in trials.items() if of == arm])
        variances.append(scores.var(ddof=1))
        cells.append(f"{scores.mean():.3f} ± {scores.std(ddof=1):.4f} (lowest {scores.min():.3f})")
    seconds = np.mean([one["seconds"] for one in trials.values()])
    return f"| {name} | {' | '.join(cells)} | {np.sqrt(np.mean(variances)):.4f} | {seconds:.1f} |"


def recipe(text: str) -> tuple[str, list[str]]:
    """Split ``name: --option value ...``."""
    name, colon, options = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"expected 'name: options', got {text!r}")
    return name.strip(), options.split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="an ablation")
    parser.add_argument("--arms", nargs="+", required=True)
    parser.add_argument(
        "--recipe", type=recipe, action="append", required=True, help='"name: further options of vitcli fit"'
    )
    parser.add_argument("--seeds", type=int, default=10, help="number of pilot seeds")
    parser.add_argument("--kept", type=Path, default=Path("runs/recipes"), help="directory of the finished trials")
    arguments: Any = parser.parse_args()
    torch.set_num_threads(1)
    arguments.kept.mkdir(parents=True, exist_ok=True)
    plans = {
        name: make_plan(parse_arguments(["--config", arguments.file, *options])) for name, options in arguments.recipe
    }
    print(f"| recipe | {' | '.join(arguments.arms)} | pooled sd | processor seconds a trial |")
    print("|---" * (len(arguments.arms) + 3) + "|")
    for name, plan in plans.items():
        path = arguments.kept / f"{Path(arguments.file).stem} {name}.jsonl"
        trials = measure(plan, arguments.arms, range(1000, 1000 + arguments.seeds), path)
        print(row(name, arguments.arms, trials), flush=True)


if __name__ == "__main__":
    main()

"""The whole shipped ablation by ``vitcli fit`` against a shell loop that starts one process a trial with two threads each.

Both train the same trials for the shipped number of epochs, one after the other in this script::

    python benchmarks/startup.py [--seeds N] [--ablation ablations/localvit_act.yaml]

The loop writes no report, ours does. Threads change the last bits of a trial: the two are compared in time only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

VITCLI = str(Path(sys.executable).with_name("vitcli"))


def timed(command: list[str], threads: int) -> float:
    """Run a command and return its seconds; it must succeed."""
    started = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def trial_files(ablation: str, seeds: int, folder: Path) -> list[Path]:
    """Write the resolved configuration of every trial to a file of its own."""
    from vitcli.ablation.plan import make_plan
    from vitcli.arguments import parse_arguments

    plan = make_plan(parse_arguments(["--config", ablation]))
    files = []
    for seed in range(seeds):
        for arm in plan.arms:
            path = folder / f"{arm}_seed{seed}.yaml"
            path.write_text(yaml.safe_dump(plan.trial_config(arm, seed), sort_keys=False))
            files.append(path)
    return files


def main() -> None:
    """Measure both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ablation", default="ablations/localvit_act.yaml")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = trial_files(arguments.ablation, arguments.seeds, folder)
        fit = [VITCLI, "fit", "--config"]
        whole = timed(
            [*fit, arguments.ablation, "--ablation.seeds", str(arguments.seeds), "--runs", str(folder / "whole")],
            threads=1,
        )
        print(f"vitcli fit, {len(files)} trials: {whole:.0f} s", flush=True)
        loop = 0.0
        for number, path in enumerate(files, 1):
            loop += timed([*fit, str(path), "--threads", "2", "--runs", str(folder / "loop")], threads=2)
            print(f"  shell loop, {number} of {len(files)} processes: {loop:.0f} s", flush=True)
    print(
        f"\n| way | seconds | ratio |\n|---|---|---|\n| shell loop, 2 threads a process | {loop:.0f} | {loop / whole:.2f} |"
    )
    print(f"| vitcli fit, {len(os.sched_getaffinity(0))} cores | {whole:.0f} | 1 |")


if __name__ == "__main__":
    main()

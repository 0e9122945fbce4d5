"""A whole shipped ablation with ``vitcli fit``, against a shell loop with one process for each trial and against an ideal time.

    python benchmarks/ablation.py                                  five arms x five seeds, 25 minutes on 2 cores
    python benchmarks/ablation.py --seeds 2 --ablation ablations/localvit_act.yaml
    python benchmarks/ablation.py --out benchmarks/results/2026-01-31-ablation.md

All ways train the same trials for the shipped number of epochs, one way after the other, on an idle machine.

* The loop runs ``vitcli fit`` once for each trial, with two threads. It writes no report; ours does, and measures the arms'
speed. The loop's processes are independent: ``--loop-seeds 1`` runs those of one seed and multiplies their time.
* The ideal is the time that our trials spend in batches (training, validation and test, loading included; see
  ``work_clock.py``), divided by the number of trials at a time: no start, no checkpoint, no log, no waiting, no report.
* Memory is the proportional set size (PSS) of the runner and of the server that its trials are forked from, at its peak while
  trials run, and how much of it is pages of files, which the kernel may drop.
* A directory of 1,000 finished trials is made of copies of the first trial's records, and reported.

Threads change the last bits of a trial: the ways are compared in time only.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import yaml

VITCLI = str(Path(sys.executable).with_name("vitcli"))
CORES = len(os.sched_getaffinity(0))


def timed(command: list[str], threads: int, watched: "Memory | None" = None) -> float:
    """Run a command and return its seconds; it must succeed."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(Path(__file__).parent)}
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        if watched:
            watched.watch(process)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {process.returncode}.")
    return time.perf_counter() - started


class Memory:
    """The peak of the proportional memory of a runner and its server, in MB, without that of their trials.

    ``kept`` is the most that is not backed by files.
    """

    def __init__(self) -> None:
        self.most = self.kept = 0.0

    def watch(self, process: subprocess.Popen) -> None:
        thread = threading.Thread(target=self._watch, args=(process,))
        thread.start()
        process.wait()
        thread.join()

    def _watch(self, process: subprocess.Popen) -> None:
        while process.poll() is None:
            own = [process.pid, *children(process.pid)]
            if any(list(children(child)) for child in own[1:]):
                self.most = max(self.most, sum(proportional_memory(one, "Pss") for one in own))
                self.kept = max(self.kept, sum(proportional_memory(one, "Pss_Anon") for one in own))
            time.sleep(1)


def children(parent: int) -> Iterator[int]:
    """The processes that a process started itself: the server, not the trials forked from it."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat[1]) == parent:
            yield int(folder.name)


def proportional_memory(process: int, kind: str) -> float:
    """PSS in MB, or one kind of it; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024


def trial_files(ablation: str, seeds: int, folder: Path) -> list[Path]:
    """Write the resolved configuration of every trial to a file of its own."""
    from vitcli.ablation.planning.make_plan import make_plan
    from vitcli.config.command_line import parse_arguments

    plan = make_plan(parse_arguments(["--config", ablation]))
    files = []
    for seed in range(seeds):
        for arm in plan.arms:
            path = folder / f"{arm}_seed{seed}.yaml"
            path.write_text(yaml.safe_dump(plan.trial_config(arm, seed), sort_keys=False))
            files.append(path)
    return files


def thousand_trials(finished: Path, folder: Path) -> None:
    """Write an ablation of 50 arms x 20 seeds that are all copies of one finished trial, but for a little noise."""
    plan = json.loads((finished / "ablation.json").read_text())
    first, arm = next(iter(plan["arms"].items()))
    result = json.loads((finished / first / "seed0" / "result.json").read_text())
    names = [f"arm{number:02}" for number in range(50)]
    metric = plan["metric"]["name"]
    plan |= {"baseline": names[0], "seeds": list(range(20)), "arms": dict.fromkeys(names, arm)}
    folder.mkdir()
    (folder / "ablation.json").write_text(json.dumps(plan))
    for number, name in enumerate(names):
        for seed in range(20):
            trial = folder / name / f"seed{seed}"
            trial.mkdir(parents=True)
            value = result["metrics"][metric] + 0.001 * ((7 * seed + 13 * number) % 11)
            own = {**result, "arm": name, "seed": seed, "metrics": {**result["metrics"], metric: value}}
            (trial / "result.json").write_text(json.dumps(own))
            shutil.copy(finished / first / "seed0" / "metrics.csv", trial)


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ablation", default="ablations/localvit_act.yaml")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--loop-seeds", type=int, help="seeds that the loop runs; all if not given")
    parser.add_argument("--runs", type=Path, help="keep our results in this directory")
    parser.add_argument("--out", type=Path, help="write the tables to this file too")
    arguments = parser.parse_args()
    memory = Memory()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = arguments.runs or folder / "whole"
        loop_seeds = arguments.loop_seeds or arguments.seeds
        files = trial_files(arguments.ablation, loop_seeds, folder)
        trials = len(files) * arguments.seeds // loop_seeds
        fit = [VITCLI, "fit", "--config", arguments.ablation, "--ablation.seeds", str(arguments.seeds)]
        clock = ["--trainer.callbacks+", "work_clock.WorkClock"]
        whole = timed([*fit, *clock, "--runs", str(runs)], 1, memory)
        work = [json.loads(path.read_text())["seconds"] for path in runs.glob("*/*/*/work.json")]
        ideal = sum(work) / CORES
        print(f"vitcli fit, {len(work)} trials of {trials}: {whole:.0f} s; ideal {ideal:.0f} s", flush=True)
        thousand_trials(next(runs.iterdir()), folder / "thousand")
        report = timed([VITCLI, "report", str(folder / "thousand")], 1)
        loop = 0.0
        for number, path in enumerate(files, 1):
            single = [VITCLI, "fit", "--config", str(path), "--threads", "2", "--runs", str(folder / "loop")]
            loop += timed(single, 2)
            print(f"  shell loop, {number} of {len(files)} processes: {loop:.0f} s", flush=True)
        loop *= trials / len(files)
    lines = [
        f"{date.today()}, {CORES} cores, {arguments.ablation}, {trials} trials; the loop ran {len(files)} of them.",
        "",
        "| way | seconds | ratio |",
        "| --- | --- | --- |",
        f"| shell loop, one process a trial, 2 threads each | {loop:.0f} | {loop / whole:.2f} |",
        f"| vitcli fit, {CORES} trials at a time, report and speed included | {whole:.0f} | 1 |",
        f"| its ideal: seconds of batches / {CORES} | {ideal:.0f} | {ideal / whole:.2f} |",
        "",
        "| target | wanted | measured |",
        "| --- | --- | --- |",
        f"| shell loop / vitcli fit | >= 1.6 | {loop / whole:.2f} |",
        f"| overhead over the ideal | <= 10 % | {100 * (whole / ideal - 1):.1f} % |",
        f"| proportional memory of the runner and its server | <= 400 MB | {memory.most:.0f} MB |",
        f"| of it not backed by files | | {memory.kept:.0f} MB |",
        f"| report of 1,000 finished trials | <= 10 s | {report:.1f} s |",
    ]
    print("\n".join(lines))
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Trials in processes of this machine, forked from a server that has imported everything once."""

import time
from collections.abc import Iterable, Sequence
from multiprocessing import connection as pipes
from typing import Any

from vitcli.ablation.launch.launcher import Ended, Epoch, Key, Launcher
from vitcli.ablation.launch.resources import refuse_several_machines
from vitcli.ablation.planning.plan import Plan
from vitcli.ablation.state import cause_of_exit
from vitcli.ablation.worker import Worker, trial


class LocalLauncher(Launcher):
    """Runs trials in processes beside each other, each with its own GPUs; if there are more processes, they share evenly.

    Args:
        plan: The ablation.

    Raises:
        ConfigError: A trial needs several machines.
    """

    def __init__(self, plan: Plan) -> None:
        refuse_several_machines(plan)
        self.places, self.gpus = plan.parallel_trials(plan.spec.trials), plan.places
        self.running: dict[Key, tuple[Worker, tuple[int, ...]]] = {}

    def start(self, job: dict[str, Any]) -> None:
        """Start a trial on the GPUs that the fewest trials use."""
        gpus = least_used(self.gpus, (used for _, used in self.running.values()))
        self.running[job["arm"], job["seed"]] = (Worker(trial, job, gpus), gpus)

    def wait(self, seconds: float) -> list[tuple[Key, Epoch | Ended]]:
        """Return the epochs done and the trials ended."""
        listening = {worker.connection: key for key, (worker, _) in self.running.items()}
        happened: list[tuple[Key, Epoch | Ended]] = []
        for pipe in pipes.wait(list(listening), timeout=seconds):
            key = listening[pipe]  # type: ignore[index]
            worker, _ = self.running[key]
            try:
                happened.append((key, Epoch(worker.receive())))
            except EOFError:
                del self.running[key]
                worker.process.join()
                happened.append((key, Ended(cause_of_exit(worker.process.exitcode))))
        return happened

    def ask_to_end(self, seconds: float) -> None:
        """Ask every trial to save and end, and wait at most ``seconds`` until all have ended."""
        until = time.monotonic() + seconds
        for worker, _ in self.running.values():
            worker.ask_to_end()
        for worker, _ in self.running.values():
            worker.process.join(max(0.0, until - time.monotonic()))

    def stop(self) -> None:
        """Kill every trial and the processes that it started."""
        for worker, _ in self.running.values():
            worker.stop()
        self.running.clear()


def least_used(places: Sequence[tuple[int, ...]], used: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the place that the fewest trials use, the first of several, so that trials spread before they share."""
    counts = dict.fromkeys(places, 0)
    for place in used:
        counts[place] += 1
    return min(counts, key=counts.__getitem__)

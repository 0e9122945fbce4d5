"""Trials in processes of this machine, forked from a server that has imported everything once."""

from collections.abc import Collection, Iterable, Sequence
from multiprocessing import connection as pipes
from typing import Any

from vitcli.ablation.launch.launcher import Ended, Epoch, Key
from vitcli.ablation.state import cause_of_exit
from vitcli.ablation.worker import Worker, trial


class LocalLauncher:
    """Processes beside each other, each with its GPUs if there are any; more processes than GPUs share them evenly.

    Args:
        places: Trials at a time.
        gpus: The GPUs that one trial takes, for each trial that has some of its own.
    """

    def __init__(self, places: int, gpus: Sequence[tuple[int, ...]] = ((),)) -> None:
        self.places, self.gpus = places, list(gpus)
        self.running: dict[Key, tuple[Worker, tuple[int, ...]]] = {}

    def adopt(self, job: dict[str, Any]) -> bool:
        """No: a trial ends with its runner."""
        return False

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

    def withdraw(self, trials: Collection[Key]) -> set[Key]:
        """Nothing: a trial that has its place trains."""
        return set()

    def stop(self) -> None:
        """Kill every trial and what it started."""
        for worker, _ in self.running.values():
            worker.stop()
        self.running.clear()


def least_used(places: Sequence[tuple[int, ...]], used: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the place that the fewest trials have, the first of several: trials spread before they share."""
    counts = dict.fromkeys(places, 0)
    for place in used:
        counts[place] += 1
    return min(counts, key=counts.__getitem__)

"""Trials in processes of this machine, forked from a server that has imported everything once."""

from collections.abc import Sequence
from multiprocessing import connection as pipes
from typing import Any

from vitcli.ablation.launch.launcher import Ended, Epoch, Key
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

    def start(self, job: dict[str, Any]) -> None:
        """Start a trial on the GPUs that the fewest trials use."""
        gpus = min(self.gpus, key=lambda place: sum(used == place for _, used in self.running.values()))
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
                happened.append((key, Ended(_how(worker.process.exitcode))))
        return happened

    def stop(self) -> None:
        """Kill every trial and what it started."""
        for worker, _ in self.running.values():
            worker.stop()
        self.running.clear()


def _how(exit_code: int) -> str:
    end = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    return f"the process ended with {end}; see log.txt"

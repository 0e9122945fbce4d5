"""Trials as tasks of a Ray cluster, or of Ray on this machine."""

import importlib.util
import logging
import os
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from vitcli.ablation.launch.launcher import Ended, Epoch, Key
from vitcli.ablation.launch.options import check_options, missing
from vitcli.ablation.launch.ray.nodes import run_on_nodes
from vitcli.ablation.launch.remote import LostError, epochs_done, hand_over, is_taken_up, look_again, run_remote
from vitcli.ablation.launch.resources import resources
from vitcli.ablation.state import INTERRUPTED
from vitcli.config.errors import ConfigError

KINDS: dict[str, tuple[type, ...]] = {
    "address": (str,),
    "num_cpus": (int, float),
    "num_gpus": (int, float),
    "resources": (dict,),
    "max_retries": (int,),
    "runtime_env": (dict,),
}
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # What Ray says of lost workers would go through the live view; it is in the trials' causes.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's word for a machine that joins no cluster: its servers then listen on 127.0.0.1 only."""

STORE = 80 * 2**20
"""Bytes of shared memory: nothing goes through Ray but a trial's configuration."""


class RayLauncher:
    """Tasks of Ray, all handed over at once; Ray runs each where there are cores and GPUs for it.

    A trial is retried when its worker, its machine or its process is lost, and continues from its last checkpoint.

    Args:
        places: Trials handed over before one has ended.
        options: Options of ``ablation.launcher``; without an address, Ray is started on this machine and ends with the runner.
        cores: Cores of this machine that trials may use, if Ray is started here.
        gpus_here: GPUs of this machine that the plan counts on.

    Raises:
        ConfigError: Ray is missing, or an option is unknown or of the wrong kind.
    """

    def __init__(self, places: int, options: Mapping[str, Any], cores: int, gpus_here: int = 0) -> None:
        check_options("ray", options, KINDS)
        if importlib.util.find_spec("ray") is None:
            raise missing("ray", "ray", "ray")
        self.places, self.options, self.cores, self.gpus_here = places, options, cores, gpus_here
        self.connected = False
        self.tasks: dict[Any, tuple[Key, Path]] = {}
        self.epochs: dict[Key, int] = {}

    def start(self, job: dict[str, Any]) -> None:
        """Hand a trial over; Ray is started, or connected with, before the first."""
        ray = self._ray()
        needs = resources(job["config"], self.gpus_here)
        directory = Path(job["directory"]).absolute()
        hand_over(directory)
        arguments = ({**job, "directory": str(directory)}, str(Path.cwd()))
        share = {
            "num_cpus": self.options.get("num_cpus", needs.cpus),
            "num_gpus": self.options.get("num_gpus", needs.gpus),
            "resources": self.options.get("resources", {}),
        }
        again = {"max_retries": self.options.get("max_retries", 3), "retry_exceptions": [LostError]}
        name = f"{job['arm']} seed{job['seed']}"
        if needs.nodes > 1:
            task = (
                ray.remote(run_on_nodes).options(name=name, num_cpus=0, **again).remote(*arguments, needs.nodes, share)
            )
        else:
            # A trial without a GPU of its own must not find those of others.
            hidden = {} if share["num_gpus"] else {"CUDA_VISIBLE_DEVICES": ""}
            task = ray.remote(run_remote).options(name=name, **share, **again).remote(*arguments, hidden)
        self.tasks[task] = ((job["arm"], job["seed"]), directory)

    def adopt(self, job: dict[str, Any]) -> bool:
        """Return False: an earlier runner's tasks ended with it."""
        return False

    def wait(self, seconds: float) -> list[tuple[Key, Epoch | Ended]]:
        """Return the epochs done and the trials ended."""
        ended, _ = self._ray().wait(list(self.tasks), timeout=seconds)
        happened: list[tuple[Key, Epoch | Ended]] = []
        for key, directory in self.tasks.values():
            done = epochs_done(directory)
            if done > self.epochs.get(key, 0):
                self.epochs[key] = done
                happened.append((key, Epoch(done)))
        for task in ended:
            key, directory = self.tasks.pop(task)
            look_again(directory)
            happened.append((key, Ended(self._how(task))))
        return happened

    def withdraw(self, trials: Collection[Key]) -> set[Key]:
        """Cancel the tasks of these trials that no worker has begun with."""
        found = {
            task: key for task, (key, directory) in self.tasks.items() if key in trials and not is_taken_up(directory)
        }
        for task in found:
            self._ray().cancel(task)  # gently: should one begin at this very moment, it ends as by Ctrl-C
            del self.tasks[task]
        return set(found.values())

    def stop(self) -> None:
        """Cancel every task and leave the cluster; Ray on this machine ends."""
        if not self.connected:
            return
        ray = self._ray()
        for task in self.tasks:
            ray.cancel(task, force=True)
        self.tasks.clear()
        ray.shutdown()
        self.connected = False

    def _how(self, task: Any) -> str:
        from ray.exceptions import RayError, RayTaskError

        try:
            return str(self._ray().get(task))
        except RayTaskError as error:
            return f"{error.cause}"
        except RayError as error:
            first = str(error).strip().split("\n")[0]
            return f"{INTERRUPTED}{type(error).__name__}: {first}"

    def _ray(self) -> Any:
        """Return the module, connected. It is imported late: it reads its settings from the environment when it is."""
        address = self.options.get("address")
        if not self.connected:
            os.environ.update(QUIET if address else QUIET | LOOPBACK)
        import ray

        if not self.connected:
            if address:
                _refuse_silence(address)
            here: dict[str, Any] = {"num_cpus": self.cores, "object_store_memory": STORE, "include_dashboard": False}
            try:
                ray.init(
                    address=address or "local",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env=self.options.get("runtime_env"),
                    **({} if address else here),
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                said = " ".join(str(error).split())[:300]
                raise ConfigError(
                    f"ablation.launcher.address is {address!r}, but Ray does not answer: {said}"
                ) from error
            self.connected = True
        return ray


def _refuse_silence(address: str) -> None:
    """Refuse an address where nobody listens: Ray itself would ask for six minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise ConfigError(
            f"ablation.launcher.address is {address!r}, but nobody listens there ({error}); "
            "start Ray by: ray start --head --port PORT."
        ) from error

"""Trials as tasks of a Ray cluster, or of Ray on this machine."""

import importlib.util
import logging
import os
import socket
from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from vitcli.ablation.launch.launcher import Ended, Epoch, Key, Launcher, missing_package
from vitcli.ablation.launch.ray.nodes import run_on_nodes
from vitcli.ablation.launch.remote import LostError, epochs_done, hand_over, is_taken_up, look_again, run_remote
from vitcli.ablation.launch.resources import resources
from vitcli.ablation.planning.plan import Plan
from vitcli.ablation.state import INTERRUPTED
from vitcli.config.errors import ConfigError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Ray would print messages about lost workers into the live view; the trials' causes hold them.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's setting for a machine that joins no cluster: its servers then listen on 127.0.0.1 only."""

STORE = 80 * 2**20
"""Bytes of shared memory. Only the trials' configurations go through Ray."""


@dataclass(eq=False)
class RayLauncher(Launcher):
    """Hands all trials over to Ray at once; Ray runs each where there are cores and GPUs for it.

    A trial is retried when its worker, its machine or its process is lost, and continues from its last checkpoint.

    Args:
        plan: The ablation.
        address: The cluster, ``host:port`` or ``auto``. None starts Ray on this machine; it ends with the runner.
        num_cpus: Cores of a trial on each machine; one per thread of each rank by default.
        num_gpus: GPUs of a trial on each machine; one per device by default, if it trains on GPUs. 0.25 lets four share one.
        resources: Further resources that a machine must have, and how much of them a trial takes.
        max_retries: How often a trial is started again after a loss.
        runtime_env: Ray's description of the workers' environment.

    Raises:
        ConfigError: Ray is not installed.
    """

    plan: Plan
    _: KW_ONLY
    address: str | None = None
    num_cpus: int | float | None = None
    num_gpus: int | float | None = None
    resources: dict[str, Any] | None = None
    max_retries: int = 3
    runtime_env: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise missing_package("ray", "ray", "ray")
        self.places = self.plan.spec.workers or self.plan.spec.trials
        self.connected = False
        self.tasks: dict[Any, tuple[Key, Path]] = {}
        self.epochs: dict[Key, int] = {}

    def start(self, job: dict[str, Any]) -> None:
        """Hand a trial over. Ray is started, or connected to, before the first one."""
        ray = self._ray()
        needs = resources(job["config"], self.plan.gpus)
        directory = Path(job["directory"]).absolute()
        hand_over(directory)
        arguments = ({**job, "directory": str(directory)}, str(Path.cwd()))
        share = {
            "num_cpus": needs.cpus if self.num_cpus is None else self.num_cpus,
            "num_gpus": needs.gpus if self.num_gpus is None else self.num_gpus,
            "resources": self.resources or {},
        }
        again = {"max_retries": self.max_retries, "retry_exceptions": [LostError]}
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
            happened.append((key, Ended(self._end_cause(task))))
        return happened

    def withdraw(self, trials: Collection[Key]) -> set[Key]:
        """Cancel the tasks of these trials that no worker has begun."""
        found = {
            task: key for task, (key, directory) in self.tasks.items() if key in trials and not is_taken_up(directory)
        }
        for task in found:
            self._ray().cancel(task)  # without force: a task that begins at this moment ends as by Ctrl-C
            del self.tasks[task]
        return set(found.values())

    def stop(self) -> None:
        """Cancel every task and leave the cluster. Ray ends if it was started here."""
        if not self.connected:
            return
        ray = self._ray()
        for task in self.tasks:
            ray.cancel(task, force=True)
        self.tasks.clear()
        ray.shutdown()
        self.connected = False

    def _end_cause(self, task: Any) -> str:
        from ray.exceptions import RayError, RayTaskError

        try:
            return str(self._ray().get(task))
        except RayTaskError as error:
            return f"{error.cause}"
        except RayError as error:
            first = str(error).strip().split("\n")[0]
            return f"{INTERRUPTED}{type(error).__name__}: {first}"

    def _cores(self) -> int:
        """Return the cores that Ray may use here: enough for as many trials at a time as were asked for."""
        needed = max(resources(arm.config, self.plan.gpus).cpus for arm in self.plan.arms.values())
        return max(len(os.sched_getaffinity(0)), max(1, self.plan.spec.workers) * needed)

    def _ray(self) -> Any:
        """Return the module ray, connected. It is imported here, after the environment that it reads its settings from."""
        if not self.connected:
            os.environ.update(QUIET if self.address else QUIET | LOOPBACK)
        import ray

        if not self.connected:
            if self.address:
                _refuse_silence(self.address)
            here: dict[str, Any] = {"num_cpus": self._cores(), "object_store_memory": STORE, "include_dashboard": False}
            try:
                ray.init(
                    address=self.address or "local",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env=self.runtime_env,
                    **({} if self.address else here),
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                message = " ".join(str(error).split())[:300]
                raise ConfigError(
                    f"ablation.launcher.address is {self.address!r}, but Ray does not answer: {message}"
                ) from error
            self.connected = True
        return ray


def _refuse_silence(address: str) -> None:
    """Refuse an address where nothing listens, for which Ray itself would wait six minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise ConfigError(
            f"ablation.launcher.address is {address!r}, but nothing listens there ({error}); "
            "start Ray by: ray start --head --port PORT."
        ) from error

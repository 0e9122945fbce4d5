"""Speed of training and inference, and the memory of a training step, measured for all arms side by side."""

import os
import pydoc
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from vitcli.config.lightning_cli import VitCLI
from vitcli.records.speed import speed_record
from vitcli.training.provenance import processor
from vitcli.training.run import hide_expected_warnings

ROUNDS = 3
WARM_UP, STEPS = 1, 3
"""Steps of each round that are not timed, and then steps that are. The first round has one more step to measure its memory."""

BARE = {
    "barebones": False,
    "check_val_every_n_epoch": 1,
    "default_root_dir": None,
    "devices": 1,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "enable_progress_bar": False,
    "fast_dev_run": False,
    "limit_train_batches": WARM_UP + STEPS + 1,
    "limit_val_batches": 0,
    "logger": False,
    "max_epochs": WARM_UP + STEPS + 1,
    "max_steps": -1,
    "max_time": None,
    "min_epochs": None,
    "min_steps": None,
    "num_nodes": 1,
    "num_sanity_val_steps": 0,
    "overfit_batches": 0.0,
    "profiler": None,
    "strategy": "auto",
    "val_check_interval": None,
}
"""Settings of the trainer while speed is measured: one device, a few steps, no validation, no logs, no checkpoints."""


def measure(
    configs: Mapping[str, dict[str, Any]],
    ids: Mapping[str, str],
    rounds: int = ROUNDS,
    tell: Callable[[str], object] = str,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Time all arms in turn, several rounds long, so that a change of the machine's load affects all arms equally.

    Each round starts with another arm. A training step is forward, backward and optimizer as the trainer runs them, on batches of
    the data; loading the batches is not timed. Inference is the model alone, in evaluation mode and in the trainer's precision,
    on a training batch; the latency is that of one image. Each number is the median over the rounds of the median in a round.

    Args:
        configs: Arm -> complete configuration.
        ids: Arm -> identity of its configuration.
        rounds: Number of rounds.
        tell: Called with each arm's name before its turn.

    Returns:
        The content of speed.json, without the arms that cannot be measured, {} if there is none; and arm -> why it cannot.
    """
    names, found = list(configs), {name: list[dict[str, float]]() for name in configs}
    conditions, problems, load = dict[str, Any](), dict[str, str](), _OtherLoad()
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if name in problems:
                continue
            tell(name)
            try:
                numbers, conditions = _round(configs[name], _Stopwatch(memory_steps=0 if number else 1))
            except Exception as error:  # an arm's own code may raise anything; the others are measured all the same
                traceback.print_exc()
                problems[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            else:
                found[name].append(numbers)
    arms = {name: {"id": ids[name], **_medians(found[name])} for name in names if name not in problems}
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    return speed_record({**conditions, "other_load": load.cores()}, rounds, measured_at, arms) if arms else {}, problems


class _OtherLoad:
    """The processor cores that other processes keep busy from now on, which make every measurement here too slow."""

    def __init__(self) -> None:
        self.wall, self.own, self.all = time.perf_counter(), _own_seconds(), _all_seconds()

    def cores(self) -> float | None:
        """Return their number, on average since the start; None if the system does not report it."""
        now = _all_seconds()
        if self.all is None or now is None:
            return None
        others = now - self.all - (_own_seconds() - self.own)
        return round(max(0.0, others / (time.perf_counter() - self.wall)), 2)


def _own_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _all_seconds() -> float | None:
    """Return the processor time of all processes of this machine; None where there is no ``/proc/stat``."""
    try:
        user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _round(config: dict[str, Any], watch: "_Stopwatch") -> tuple[dict[str, float], dict[str, Any]]:
    """Return the numbers of one arm in one round, and the conditions that they were measured under."""
    with tempfile.TemporaryDirectory() as folder, hide_expected_warnings():
        trainer = {**config["trainer"], **BARE, "callbacks": _weight_averages(config), "default_root_dir": folder}
        torch.manual_seed(0)
        cli = VitCLI({**config, "trainer": trainer}, callbacks=[watch])
        cli.model.global_batch = None  # one device alone would add up batches in the place of the others
        cli.trainer.fit(cli.model, cli.datamodule)
    step, images = statistics.median(watch.seconds), watch.images
    numbers = {
        "step_seconds": step,
        "train_images_per_second": images / step,
        **({"peak_memory_bytes": float(watch.peak_bytes)} if watch.memory_steps else {}),
        **watch.inference,
    }
    conditions = {
        "device": torch.cuda.get_device_name(watch.device) if watch.device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "batch_size": images,
        "precision": str(cli.trainer.precision),
    }
    return numbers, conditions


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    medians = {name: statistics.median(one[name] for one in rounds if name in one) for name in rounds[0]}
    medians["peak_memory_bytes"] = int(medians["peak_memory_bytes"])
    return medians


def _weight_averages(config: dict[str, Any]) -> list[Any]:
    """Return the configured callbacks that average weights, since these are part of a step; no others are timed."""
    given = config["trainer"]["callbacks"] or []
    given = given if isinstance(given, list) else [given]
    return [one for one in given if issubclass(pydoc.locate(one["class_path"]), WeightAveraging)]  # type: ignore[arg-type]


def inference_speed(model: LightningModule, images: Tensor | list[Tensor], trainer: Trainer) -> dict[str, float]:
    """Return the images per second on a batch and the milliseconds of its first image alone, in the trainer's precision.

    The model is timed in evaluation mode, and left in the mode in which it was.
    """
    training = model.training
    model.eval()
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        whole = _median_seconds(lambda: model(images), model.device)
        one = _median_seconds(lambda: model(images[:1]), model.device)
    model.train(training)
    return {"inference_images_per_second": len(images) / whole, "latency_ms": 1000 * one}


class _Stopwatch(Callback):
    """Times the steps of a fit after its warm-up, measures the memory of ``memory_steps`` further steps, then times inference."""

    def __init__(self, memory_steps: int) -> None:
        self.memory_steps = memory_steps
        self.seconds: list[float] = []
        self.inference: dict[str, float] = {}
        self.images = self.peak_bytes = 0
        self.device = torch.device("cpu")
        self._started, self._steps = 0.0, 0
        self._memory: _Memory | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._steps == WARM_UP + STEPS:  # a step that is not timed: measuring the memory slows it down
            self._memory = _Memory(trainer, pl_module.device)
        self._started = _now(pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        seconds = _now(pl_module.device) - self._started
        if self._memory is not None:
            self.peak_bytes = self._memory.peak()
            self._memory = None
        elif self._steps >= WARM_UP:
            self.seconds.append(seconds)
        self._steps += 1
        if self._steps == WARM_UP + STEPS + self.memory_steps:
            self._measure_inference(trainer, pl_module, batch)
            trainer.should_stop = True

    def _measure_inference(self, trainer: Trainer, model: LightningModule, batch: Any) -> None:
        image = images_of(batch)
        self.device, self.images = model.device, len(image)
        self.inference = inference_speed(model, image, trainer)


class _Memory:
    """The peak memory of PyTorch's allocators in one step, in bytes: weights, optimizer state, activations and gradients.

    On a CPU the profiler's allocations are added up, starting from the bytes that are allocated before the step. Scratch memory
    that a library allocates by itself is not counted.
    """

    def __init__(self, trainer: Trainer, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        self.bytes_before = _allocated_bytes(trainer)
        self.profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True)
        self.profile.__enter__()

    def peak(self) -> int:
        """End the measurement and return the peak."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        self.profile.__exit__(None, None, None)
        recorded: list[Any] = self.profile.profiler.kineto_results.events()  # type: ignore[union-attr]
        events = [event for event in recorded if event.name() == "[memory]"]
        grown = most = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            grown += event.nbytes()
            most = max(most, grown)
        return self.bytes_before + most


def _allocated_bytes(trainer: Trainer) -> int:
    """Return the bytes of weights, gradients and the optimizers' state."""
    model = trainer.lightning_module
    tensors = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters() if p.grad is not None)]
    for optimizer in trainer.optimizers:
        tensors += [
            value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)
        ]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())


def images_of(batch: Any) -> Tensor | list[Tensor]:
    """Return the images of a batch: the batch itself, the first entry of a list, or the first value of a mapping.

    Images (c, H, W) of several sizes, as detectors take them, are a list in it.
    """
    while not isinstance(batch, Tensor):
        batch = next(iter(batch.values() if isinstance(batch, Mapping) else batch))
        if isinstance(batch, list | tuple) and all(isinstance(one, Tensor) and one.ndim == 3 for one in batch):
            return list(batch)
    return batch


def _median_seconds(function: Callable[[], Any], device: torch.device) -> float:
    function()
    seconds = []
    for _ in range(STEPS):
        started = _now(device)
        function()
        seconds.append(_now(device) - started)
    return statistics.median(seconds)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()

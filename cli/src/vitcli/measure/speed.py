"""How fast arms train and infer, and how much memory a training step takes: side by side, under equal conditions."""

import pydoc
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from vitcli.config.lightning_cli import VitCLI
from vitcli.records.speed import speed_record
from vitcli.training.provenance import processor
from vitcli.training.run import expected_warnings

ROUNDS = 3
WARM_UP, STEPS = 1, 3
"""Steps of each round: those that are not timed, then those that are. In the first round one more is watched for its memory."""

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
"""The trainer's entries while speed is measured: one device, a few steps, nothing beside them."""


def measure(configs: Mapping[str, dict[str, Any]], ids: Mapping[str, str], rounds: int = ROUNDS) -> dict[str, Any]:
    """Time all arms in turns, the one that begins changing from round to round; what slows one round slows all of it.

    A training step is forward, backward and optimizer as the trainer runs them, on batches of the data, without loading them.
    Inference is the model alone, in evaluation mode and in the trainer's precision, on a training batch, and on one image of it
    for the latency. Each number is the median over the rounds of the median of a round.

    Args:
        configs: Arm -> resolved configuration.
        ids: Arm -> identity of what it computes.
        rounds: How often each arm is measured.

    Returns:
        The content of speed.json.
    """
    names, found = list(configs), {name: list[dict[str, float]]() for name in configs}
    conditions: dict[str, Any] = {}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            numbers, conditions = _round(configs[name], _Stopwatch(watched=0 if number else 1))
            found[name].append(numbers)
    arms = {name: {"id": ids[name], **_medians(found[name])} for name in names}
    return speed_record(conditions, rounds, datetime.now(UTC).isoformat(timespec="seconds"), arms)


def _round(config: dict[str, Any], watch: "_Stopwatch") -> tuple[dict[str, float], dict[str, Any]]:
    """Return what one round finds of one arm, and the conditions."""
    with tempfile.TemporaryDirectory() as folder, expected_warnings():
        trainer = {**config["trainer"], **BARE, "callbacks": _averaging(config), "default_root_dir": folder}
        torch.manual_seed(0)
        cli = VitCLI({**config, "trainer": trainer}, callbacks=[watch])
        cli.trainer.fit(cli.model, cli.datamodule)
    step, images = statistics.median(watch.seconds), watch.images
    numbers = {
        "step_seconds": step,
        "train_images_per_second": images / step,
        **({"peak_memory_bytes": float(watch.peak_bytes)} if watch.watched else {}),
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


def _averaging(config: dict[str, Any]) -> list[Any]:
    """The configured callbacks that belong to a step: averages of weights; what saves, stops or logs is left out."""
    given = config["trainer"]["callbacks"] or []
    given = given if isinstance(given, list) else [given]
    return [one for one in given if issubclass(pydoc.locate(one["class_path"]), WeightAveraging)]  # type: ignore[arg-type]


class _Stopwatch(Callback):
    """Times the steps of a fit behind its warm-up, takes the memory of ``watched`` more, and times inference at its end."""

    def __init__(self, watched: int) -> None:
        self.watched = watched
        self.seconds: list[float] = []
        self.inference: dict[str, float] = {}
        self.images = self.peak_bytes = 0
        self.device = torch.device("cpu")
        self._started, self._steps = 0.0, 0
        self._memory: _Memory | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._steps == WARM_UP + STEPS:  # a step of its own: what watches the memory slows it down
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
        if self._steps == WARM_UP + STEPS + self.watched:
            self._measure_inference(trainer, pl_module, batch)
            trainer.should_stop = True

    def _measure_inference(self, trainer: Trainer, model: LightningModule, batch: Any) -> None:
        image = _first_tensor(batch)
        self.device, self.images = model.device, len(image)
        model.eval()
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            whole = _median_seconds(lambda: model(image), model.device)
            one = _median_seconds(lambda: model(image[:1]), model.device)
        model.train()
        self.inference = {"inference_images_per_second": len(image) / whole, "latency_ms": 1000 * one}


class _Memory:
    """The most bytes that PyTorch's allocators hold in one step: weights, their state, activations and gradients.

    On a CPU every allocation that the profiler sees is summed up, on top of what is held before; a library's scratch memory of
    its own is not among them.
    """

    def __init__(self, trainer: Trainer, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        self.held = _held(trainer)
        self.profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True)
        self.profile.__enter__()

    def peak(self) -> int:
        """Stop watching and return the peak."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        self.profile.__exit__(None, None, None)
        recorded: list[Any] = self.profile.profiler.kineto_results.events()  # type: ignore[union-attr]
        events = [event for event in recorded if event.name() == "[memory]"]
        grown = most = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            grown += event.nbytes()
            most = max(most, grown)
        return self.held + most


def _held(trainer: Trainer) -> int:
    """Bytes of weights, gradients and the optimizers' state."""
    model = trainer.lightning_module
    tensors = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters() if p.grad is not None)]
    for optimizer in trainer.optimizers:
        tensors += [
            value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)
        ]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())


def _first_tensor(batch: Any) -> Tensor:
    """The images of a batch: the batch itself, the first of a list, or the first value of a mapping."""
    while not isinstance(batch, Tensor):
        batch = next(iter(batch.values() if isinstance(batch, Mapping) else batch))
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

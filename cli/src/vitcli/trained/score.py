"""Scoring a trained run on its test set again, optionally with another protocol, and measuring its model's throughput."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from vitcli.config.yaml_files import read_yaml
from vitcli.measure.speed import images_of, inference_speed
from vitcli.records.json_files import FORMAT, write_json
from vitcli.trained.load import CONFIG, TrainedRun, Weights, load_run
from vitcli.training.provenance import processor
from vitcli.training.run import hide_expected_warnings
from vitcli.training.user_errors import tell_user_errors

TEST = "test{number}.json"
"""Name of a record in the run's directory; the first is test0.json."""


class _Throughput(Callback):
    """Measures the model on the first batch of a test."""

    def __init__(self) -> None:
        self.speed: dict[str, float] = {}
        self.conditions: dict[str, Any] = {}

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if self.speed:
            return
        images, device = images_of(batch), pl_module.device
        self.speed = inference_speed(pl_module, images, trainer)
        self.conditions = {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
            "threads": torch.get_num_threads(),
            "batch_size": len(images),
            "precision": str(trainer.precision),
        }


def load_at_size(
    directory: str, weights: Weights | None, size: Any, changes: Mapping[str, Any]
) -> tuple[TrainedRun, dict[str, Any]]:
    """Load a run for images of another size, with that size among the changes of its configuration.

    A timm network with a size of its own is resized after its weights have been loaded. Any other network is built for the new
    size if it has an ``img_size``; models that take images of any size have none.

    Raises:
        ConfigError: As ``load_run`` does.
    """
    changes = {"data.img_size": size, **changes}
    run = load_run(directory, weights, changes)
    resize = getattr(run.network, "set_input_size", None)
    if resize is not None:
        with warnings.catch_warnings(action="ignore"):  # torch's, about timm's code
            resize(img_size=tuple(size) if isinstance(size, list) else (size, size))
    elif "img_size" in run.config["model"].get("init_args", {}).get("backbone", {}).get("init_args", {}):
        changes = {"model.backbone.img_size": size, **changes}
        run = load_run(directory, weights, changes)
    return run, changes


def score(run: TrainedRun, changes: dict[str, Any]) -> dict[str, Any]:
    """Score the test set on one device, in the precision of the training, and record the result in the run's directory.

    Args:
        run: The run.
        changes: What differs from the run's own protocol, for the record.

    Returns:
        The record: ``metrics``, ``speed``, ``conditions`` and ``changes``.

    Raises:
        ConfigError: The data are missing, or have other classes than the model.
    """
    trained = read_yaml(run.directory / CONFIG)
    if trained.get("threads"):
        torch.set_num_threads(trained["threads"])
    throughput, given = _Throughput(), trained.get("trainer", {})
    with tell_user_errors(str(run.directory)), hide_expected_warnings():
        trainer = Trainer(
            accelerator="cpu" if given.get("accelerator") == "cpu" else "auto",
            devices=1,
            precision=given.get("precision"),
            callbacks=[throughput],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        scores = trainer.test(run.task, run.data, verbose=False)
    record = {
        "format": FORMAT,
        "changes": {name: value for name, value in changes.items() if value is not None},
        "metrics": {name: float(value) for one in scores for name, value in one.items()},
        "speed": throughput.speed,
        "conditions": throughput.conditions,
    }
    number = 0
    while (path := run.directory / TEST.format(number=number)).exists():
        number += 1
    write_json(path, record)
    return {**record, "path": str(path)}


def describe(record: dict[str, Any]) -> str:
    """Return a record as lines for the terminal."""
    conditions, speed = record["conditions"], record["speed"]
    changes = ", ".join(f"{name} {value}" for name, value in record["changes"].items())
    return "\n".join(
        [
            *(f"{name}: {value:.4f}" for name, value in record["metrics"].items()),
            f"{speed['inference_images_per_second']:.0f} images/s, {speed['latency_ms']:.1f} ms for one image "
            f"({conditions['device']}, {conditions['threads']} threads, batches of {conditions['batch_size']}, "
            f"precision {conditions['precision']})",
            f"Protocol: {changes or 'that of the run'}. Written to {record['path']}",
        ]
    )

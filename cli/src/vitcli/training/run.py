"""One training run in a directory of its own: fit, test after the last epoch, and everything that happened written down."""

import contextlib
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback

from vitcli.config.lightning_cli import VitCLI
from vitcli.records.json_files import write_text
from vitcli.records.metrics import METRICS
from vitcli.training.checkpoints import LastCheckpoint, Saved
from vitcli.training.event_files import EventFiles
from vitcli.training.metrics_file import MetricsFile, kept_rows
from vitcli.training.provenance import processor, provenance
from vitcli.training.seeds import StepStreams

EXPECTED = (
    r"The '\w+_dataloader' does not have many workers",  # small data lie in memory
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",  # of a user's checkpoint, into whose directory nothing is written
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # by torch, of Lightning's code
    r"You're using the WeightAveraging callback, but loading",  # a run that was ended after its last epoch is only tested
)


def prepare(
    config: dict[str, Any], directory: Path, callbacks: tuple[Callback, ...] = (), past: Saved | None = None
) -> VitCLI:
    """Build trainer, model and data of a resolved configuration, with logs and checkpoints in ``directory``.

    The configuration's loggers come beside the two that every run has; ``logger: false`` turns all of them off.
    """
    epochs = past.epochs if past else 0
    given = config["trainer"]["logger"]
    further = given if isinstance(given, list) else [given] if isinstance(given, dict) else []
    loggers = False if given is False else [*_loggers(directory, epochs), *further]
    trainer = {**config["trainer"], "default_root_dir": str(directory), "logger": loggers}
    kept: list[Callback] = [StepStreams(config["seed_everything"], epochs), *callbacks]
    if trainer["enable_checkpointing"] is not False:
        kept.append(LastCheckpoint(str(directory), past.seconds if past else 0.0))
    return VitCLI({**config, "trainer": trainer}, callbacks=kept)


def fit_and_test(
    config: dict[str, Any], directory: Path, callbacks: tuple[Callback, ...] = (), past: Saved | None = None
) -> dict[str, Any]:
    """Train, then score the test split with the weights after the last epoch: no epoch is chosen by its score.

    Args:
        config: A resolved configuration.
        directory: Where config.yaml, metrics.csv, event files and last.ckpt go.
        callbacks: Further callbacks.
        past: The checkpoint of an earlier try in this directory, to go on from.

    Returns:
        ``metrics`` of the test, ``epochs`` reached, ``train_seconds`` of the fit, ``train_images`` seen in it, ``threads``,
        and the ``provenance`` of all this.

    Raises:
        ArithmeticError: A metric is not finite.
        RuntimeError: The training ended before its last epoch.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    cli = prepare(config, directory, callbacks, past)
    trainer = cli.trainer
    made_by = provenance(_fingerprint(cli), _device(trainer.strategy.root_device))
    with expected_warnings():
        reached = past if past and past.is_complete(config["trainer"]) else _fit(cli, config["ckpt_path"], past)
        if trainer.max_epochs and 0 <= trainer.max_epochs != reached.epochs:
            raise RuntimeError(f"the training ended after epoch {reached.epochs} of {trainer.max_epochs}")
        _refuse_non_finite(reached.metrics, reached.epochs)
        scores = _test(cli, reached)
    metrics = {name: float(value) for score in scores for name, value in score.items()}
    _refuse_non_finite(metrics, reached.epochs)
    batch_size = getattr(cli.datamodule, "batch_size", 0)
    return {
        "metrics": metrics,
        "epochs": reached.epochs,
        "train_seconds": round(reached.seconds, 3),
        "train_images": reached.steps * trainer.accumulate_grad_batches * trainer.world_size * batch_size,
        "threads": config["threads"],
        "provenance": made_by,
    }


def _fit(cli: VitCLI, given: str | None, past: Saved | None) -> Saved:
    """Train to the end and return what was reached."""
    started = time.perf_counter()
    trainer = cli.trainer
    if past:
        trainer.fit(cli.model, cli.datamodule, ckpt_path=past.path, weights_only=True)
    else:
        trainer.fit(cli.model, cli.datamodule, ckpt_path=given)
    seconds = (past.seconds if past else 0.0) + time.perf_counter() - started
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return Saved(None, trainer.current_epoch, trainer.global_step, seconds, metrics)


def _test(cli: VitCLI, reached: Saved) -> list[Mapping[str, float]]:
    """Score the weights that were just trained, or those of an earlier try that ended between training and test."""
    if reached.path is None:
        return cli.trainer.test(cli.model, cli.datamodule, verbose=False)
    # Loading weights alone, Lightning would log the test at epoch and step 0.
    cli.trainer.fit_loop.load_state_dict(reached.loops)
    cli.trainer.fit_loop.epoch_progress.current.completed = reached.epochs
    return cli.trainer.test(cli.model, cli.datamodule, ckpt_path=reached.path, verbose=False, weights_only=True)


def _fingerprint(cli: VitCLI) -> str | None:
    """Return what the data module says of its data, if it says it."""
    offered = getattr(cli.datamodule, "fingerprint", None)
    return str(offered()) if cli.trainer.is_global_zero and callable(offered) else None


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


@contextlib.contextmanager
def expected_warnings() -> Iterator[None]:
    """Leave out what Lightning says about choices that are made here on purpose."""
    with warnings.catch_warnings():
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message=message)
        yield


def _refuse_non_finite(metrics: Mapping[str, Any], epochs: int) -> None:
    for name, value in sorted(metrics.items()):
        if not math.isfinite(value):
            raise ArithmeticError(f"{name} is {float(value)} after epoch {epochs}")


def _loggers(directory: Path, epochs: int) -> list[dict[str, Any]]:
    steps = [int(row["step"]) for row in kept_rows(directory / METRICS, epochs)]
    purged = max(steps, default=-1) + 1 if epochs else None
    return [
        {"class_path": f"{kind.__module__}.{kind.__name__}", "init_args": {"save_dir": str(directory), **given}}
        for kind, given in ((EventFiles, {"purge_step": purged}), (MetricsFile, {"epochs": epochs}))
    ]

"""One training run in a directory of its own: fit, test after the last epoch, and everything that happened written down."""

import contextlib
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from vitcli.lightning_cli import VitCLI

EXPECTED = (
    r"The '\w+_dataloader' does not have many workers",  # small data lie in memory
    r"Experiment logs directory .* exists and is not empty",  # config.yaml and the other logger's files
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",  # a run never writes into the directory of the checkpoint that it loads
)


def prepare(config: dict[str, Any], directory: Path, callbacks: tuple[Callback, ...] = ()) -> VitCLI:
    """Build trainer, model and data of a resolved configuration, with logs and checkpoints in ``directory``.

    The configuration's loggers come beside the two that every run has; ``logger: false`` turns all of them off.
    """
    given = config["trainer"]["logger"]
    further = given if isinstance(given, list) else [given] if isinstance(given, dict) else []
    loggers = False if given is False else [*_loggers(directory), *further]
    trainer = {**config["trainer"], "default_root_dir": str(directory), "logger": loggers}
    kept: list[Callback] = [*callbacks]
    if trainer["enable_checkpointing"] is not False:
        # Without being told so, it would save after validations only: last.ckpt would not be the last.
        last = ModelCheckpoint(
            directory, "last", save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True
        )
        kept.append(last)
    return VitCLI({**config, "trainer": trainer}, callbacks=kept)


def fit_and_test(config: dict[str, Any], directory: Path, callbacks: tuple[Callback, ...] = ()) -> dict[str, Any]:
    """Train, then score the test split with the weights after the last epoch: no epoch is chosen by its score.

    Args:
        config: A resolved configuration.
        directory: Where config.yaml, metrics.csv, event files and last.ckpt go.
        callbacks: Further callbacks.

    Returns:
        ``metrics`` of the test, ``epochs`` reached, ``train_seconds`` of the fit, ``train_images`` seen in it, ``threads``.

    Raises:
        ArithmeticError: A metric is not finite.
        RuntimeError: The training ended before its last epoch.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    cli = prepare(config, directory, callbacks)
    trainer = cli.trainer
    with expected_warnings():
        started = time.perf_counter()
        trainer.fit(cli.model, cli.datamodule, ckpt_path=config["ckpt_path"])
        seconds = time.perf_counter() - started
        epochs, steps = trainer.current_epoch, trainer.global_step
        if trainer.max_epochs and 0 <= trainer.max_epochs != epochs:
            raise RuntimeError(f"the training ended after epoch {epochs} of {trainer.max_epochs}")
        _refuse_non_finite(trainer.callback_metrics, epochs)
        scores = trainer.test(cli.model, cli.datamodule, verbose=False)
    metrics = {name: float(value) for score in scores for name, value in score.items()}
    _refuse_non_finite(metrics, epochs)
    batch_size = getattr(cli.datamodule, "batch_size", 0)
    return {
        "metrics": metrics,
        "epochs": epochs,
        "train_seconds": round(seconds, 3),
        "train_images": steps * trainer.accumulate_grad_batches * trainer.world_size * batch_size,
        "threads": config["threads"],
    }


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


def _loggers(directory: Path) -> list[dict[str, Any]]:
    places = {"save_dir": str(directory), "name": "", "version": ""}
    return [
        {
            "class_path": f"{TensorBoardLogger.__module__}.TensorBoardLogger",
            "init_args": {**places, "default_hp_metric": False},
        },
        {"class_path": f"{CSVLogger.__module__}.CSVLogger", "init_args": places},
    ]

"""One training run in its own directory: fit, then test after the last epoch, with logs and checkpoints."""

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
from lightning.pytorch.loggers import TensorBoardLogger

from vitcli.config.lightning_cli import VitCLI
from vitcli.records.json_files import write_text
from vitcli.records.metrics import METRICS
from vitcli.training.checkpoints import LastCheckpoint, Saved, remove_previous
from vitcli.training.given_values import GivenValues
from vitcli.training.loggers import finish, with_names
from vitcli.training.metrics_file import MetricsFile, rows_before
from vitcli.training.non_finite import NonFiniteLoss
from vitcli.training.out_of_memory import explain_out_of_memory
from vitcli.training.own_code import own_code
from vitcli.training.provenance import processor, provenance
from vitcli.training.ranks import is_first_rank
from vitcli.training.seeds import StepSeeds
from vitcli.training.signals import tell_scheduler
from vitcli.training.starting_weights import starting_weights
from vitmodels.skeletons.parts import walk

EXPECTED = (
    r"The '\w+_dataloader' does not have many workers",  # small data sets are held in memory
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",  # the checkpoint is the user's; nothing is written into its directory
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # torch deprecates what Lightning still calls
    r"You're using the WeightAveraging callback, but loading",  # a run that ended after its last epoch is only tested
)
"""Warnings of Lightning about choices that are made here on purpose."""


class EventFiles(TensorBoardLogger):
    """TensorBoard's event files in the run's own directory, beside those of earlier tries.

    Args:
        save_dir: Directory of the event files.
        purge_step: From this step on, TensorBoard ignores what earlier tries wrote, since they were interrupted later than their
            last checkpoint; None in a first try.
    """

    def __init__(self, save_dir: str, purge_step: int | None = None) -> None:
        super().__init__(save_dir, name="", version="", default_hp_metric=False, purge_step=purge_step)


def prepare(
    config: dict[str, Any],
    directory: Path,
    callbacks: tuple[Callback, ...] = (),
    past: Saved | None = None,
    names: tuple[str, ...] = (),
) -> VitCLI:
    """Build trainer, model and data of a complete configuration, with logs and checkpoints in ``directory``.

    Every run logs to metrics.csv and to event files, and also to the configuration's loggers, which get the run's ``names``, see
    ``loggers.with_names``; ``logger: false`` turns all off.
    """
    given = config["trainer"]["logger"]
    further = given if isinstance(given, list) else [given] if isinstance(given, dict) else []
    own = with_names(further, directory, names or directory.absolute().parts[-2:])
    loggers = False if given is False else [*_loggers(directory, past), *own]
    trainer = {**config["trainer"], "default_root_dir": str(directory), "logger": loggers}
    seeds = StepSeeds(config["seed_everything"], past.epochs if past else 0)
    added: list[Callback] = [seeds, NonFiniteLoss(), GivenValues(), *callbacks]
    if trainer["enable_checkpointing"] is not False:
        added.append(LastCheckpoint(str(directory), past.seconds if past else 0.0))
    return VitCLI({**config, "trainer": trainer}, callbacks=added)


def fit_and_test(
    config: dict[str, Any],
    directory: Path,
    callbacks: tuple[Callback, ...] = (),
    past: Saved | None = None,
    names: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Train, then score the test split with the weights after the last epoch; no epoch is chosen by its score.

    Args:
        config: A complete configuration.
        directory: Directory of config.yaml, metrics.csv, the event files and last.ckpt.
        callbacks: Further callbacks.
        past: The checkpoint of an earlier try in this directory, from which the training continues.
        names: What loggers call the run: experiment, arm and seed (default: the last two folders of the directory).

    Returns:
        ``metrics`` of the test, ``epochs`` trained, ``train_seconds`` spent in training, ``train_images`` seen in it,
        ``threads``, ``provenance``: the code, packages, data and device, and ``ended_early``: whether a callback of the
        configuration ended the training before its last epoch.

    Raises:
        ArithmeticError: The loss of a step or a metric is not finite.
        MemoryError: The batch does not fit into memory.
        ValueError: The training made no step.
        SystemExit: SIGTERM or SIGUSR1 ended the training; see ``vitcli.training.signals``.
    """
    if is_first_rank():
        directory.mkdir(parents=True, exist_ok=True)
        write_text(directory / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    cli = prepare(config, directory, callbacks, past, names)
    trainer = cli.trainer
    own = own_code(value for _, value in walk(config))
    made_by = provenance(_fingerprint(cli), _device(trainer.strategy.root_device), own)
    if weights := starting_weights(config):
        made_by["weights"] = weights
    device = str(trainer.strategy.root_device)
    with hide_expected_warnings(), tell_scheduler(), explain_out_of_memory(config, cli.datamodule, device):
        reached = past if past and past.is_complete(config["trainer"]) else _fit(cli, config["ckpt_path"], past)
        if reached.steps == 0 and 0 not in (trainer.max_epochs, trainer.max_steps):
            raise ValueError(
                "the training made no step: its split gives no batch, or trainer.limit_train_batches or another limit leaves none"
            )
        _refuse_non_finite(reached.metrics, reached.epochs)
        scores = _test(cli, reached)
        finish(trainer.loggers)
    for key, part in (("data_notes", cli.datamodule), ("training_notes", cli.model)):
        notes: list[str] = getattr(part, "notes", list)()
        if notes:
            made_by[key] = "; ".join(notes)
    metrics = {name: float(value) for score in scores for name, value in score.items()}
    _refuse_non_finite(metrics, reached.epochs)
    if trainer.is_global_zero:
        remove_previous(directory)
    batch_size = getattr(cli.datamodule, "batch_size", 0)
    return {
        "metrics": metrics,
        "epochs": reached.epochs,
        "train_seconds": round(reached.seconds, 3),
        "train_images": reached.steps * trainer.accumulate_grad_batches * trainer.world_size * batch_size,
        "threads": config["threads"],
        "provenance": made_by,
        "ended_early": reached.stopped and trainer.max_epochs != reached.epochs,
    }


def _fit(cli: VitCLI, checkpoint: str | None, past: Saved | None) -> Saved:
    """Train to the end and return how far the training came."""
    started = time.perf_counter()
    trainer = cli.trainer
    if past:
        trainer.fit(cli.model, cli.datamodule, ckpt_path=past.path, weights_only=True)
    else:
        trainer.fit(cli.model, cli.datamodule, ckpt_path=checkpoint, weights_only=True)
    seconds = (past.seconds if past else 0.0) + time.perf_counter() - started
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return Saved(None, trainer.current_epoch, trainer.global_step, seconds, metrics, stopped=trainer.should_stop)


def _test(cli: VitCLI, reached: Saved) -> list[Mapping[str, float]]:
    """Test the weights that were just trained, or those of an earlier try that was interrupted between training and test."""
    if reached.path is None:
        return cli.trainer.test(cli.model, cli.datamodule, verbose=False)
    # Lightning restores the weights only; without its counters it would log the test at epoch and step 0.
    cli.trainer.fit_loop.load_state_dict(reached.loops)
    cli.trainer.fit_loop.epoch_progress.current.completed = reached.epochs
    return cli.trainer.test(cli.model, cli.datamodule, ckpt_path=reached.path, verbose=False, weights_only=True)


def _fingerprint(cli: VitCLI) -> str | None:
    """Return the fingerprint of the data, if the data module has one; only the first rank computes it."""
    fingerprint = getattr(cli.datamodule, "fingerprint", None)
    return str(fingerprint()) if cli.trainer.is_global_zero and callable(fingerprint) else None


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


@contextlib.contextmanager
def hide_expected_warnings() -> Iterator[None]:
    """Hide the warnings of Lightning that are listed in ``EXPECTED``."""
    with warnings.catch_warnings():
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message=message)
        yield


def _refuse_non_finite(metrics: Mapping[str, Any], epochs: int) -> None:
    for name, value in sorted(metrics.items()):
        if not math.isfinite(value):
            raise ArithmeticError(f"{name} is {float(value)} after epoch {epochs}")


def _loggers(directory: Path, past: Saved | None) -> list[dict[str, Any]]:
    epochs, steps = (past.epochs, past.steps if past.within else 0) if past else (0, 0)
    logged = [int(row["step"]) for row in rows_before(directory / METRICS, epochs, steps)]
    purge_step = max(logged, default=-1) + 1 if past else None
    kinds = ((EventFiles, {"purge_step": purge_step}), (MetricsFile, {"epochs": epochs, "steps": steps}))
    return [
        {"class_path": f"{kind.__module__}.{kind.__name__}", "init_args": {"save_dir": str(directory), **arguments}}
        for kind, arguments in kinds
    ]
